//! Pure: how a device id is made from the names in a certificate of a registered authority (E-10). Refuses to guess: a name that is missing or
//! makes no device id makes no device.

use wire::ids::DeviceId;

/// Longest template.
const MOST: usize = 100;

/// The names that a template may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// CN.
    pub common_name: Option<String>,
    /// `serialNumber` of the subject (2.5.4.5), as 802.1AR uses it.
    pub serial_number: Option<String>,
    /// The one URI among the alternative names.
    pub uri: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    CommonName,
    SerialNumber,
    Uri,
}

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template; the refusal says what is wrong in words fit to be shown.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        if rest.len() > MOST {
            return Err(format!("A template has at most {MOST} characters."));
        }
        while !rest.is_empty() {
            let (before, after) = rest.split_once('{').unwrap_or((rest, ""));
            if !before.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b)) {
                return Err("Between its names a template has letters, digits, '.', '_', ':' and '-'.".to_owned());
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            if before.len() == rest.len() {
                break;
            }
            let (name, after) = after.split_once('}').ok_or("A name in a template ends with }.")?;
            parts.push(match name {
                "CN" => Part::CommonName,
                "serialNumber" => Part::SerialNumber,
                "SAN:URI" => Part::Uri,
                _ => return Err("A template knows {CN}, {serialNumber} and {SAN:URI}.".to_owned()),
            });
            rest = after;
        }
        if parts.iter().all(|part| matches!(part, Part::Text(_))) {
            return Err("Without {CN}, {serialNumber} or {SAN:URI} in the template all devices would have one id.".to_owned());
        }
        Ok(Self(parts))
    }

    /// The id that these names make; none when one is missing, or the text is no device id.
    pub fn device_id(&self, names: &Names) -> Option<DeviceId> {
        let mut id = String::new();
        for part in &self.0 {
            id.push_str(match part {
                Part::Text(text) => text,
                Part::CommonName => names.common_name.as_deref()?,
                Part::SerialNumber => names.serial_number.as_deref()?,
                Part::Uri => names.uri.as_deref()?,
            });
        }
        id.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn names() -> Names {
        let text = |text: &str| Some(text.to_owned());
        Names { common_name: text("gw-1"), serial_number: text("00A7"), uri: text("urn:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427") }
    }

    #[rstest]
    #[case("{CN}", "gw-1")]
    #[case("plant-{serialNumber}", "plant-00A7")]
    #[case("{SAN:URI}", "urn:uuid:1b4e28ba-2fa1-11d2-883f-0016d3cca427")]
    #[case(" {CN}.{serialNumber} ", "gw-1.00A7")]
    fn names_make_an_id(#[case] template: &str, #[case] id: &str) {
        assert_eq!(Template::parse(template).unwrap().device_id(&names()).unwrap().as_str(), id);
    }

    #[rstest]
    #[case("")]
    #[case("gw")]
    #[case("{CN")]
    #[case("{cn}")]
    #[case("a b{CN}")]
    #[case("{}")]
    #[case("../{CN}")]
    fn what_is_no_template_is_refused(#[case] template: &str) {
        assert!(Template::parse(template).is_err());
    }

    #[rstest]
    #[case("gw-1\0")]
    #[case("gw 1")]
    #[case("gw-\u{430}")]
    #[case("")]
    #[case("../gw")]
    fn a_12_names_that_are_no_id_make_no_device(#[case] common_name: &str) {
        let names = Names { common_name: Some(common_name.to_owned()), ..Names::default() };
        assert_eq!(Template::parse("{CN}").unwrap().device_id(&names), None);
        assert_eq!(Template::parse("{serialNumber}").unwrap().device_id(&names), None, "a missing name is nobody's");
    }
}
