//! Shared secrets of hawkBit's clients: a target token speaks for one device, a gateway token for every device of its organization that has no
//! certificate. Both are for device stacks that can do no better.

use crate::{
    Timestamp,
    ids::{DeviceId, GatewayTokenId},
};
use serde::{Deserialize, Serialize};

/// Whether shared secrets count in an organization. Both are off until an administrator says otherwise: a secret is an identity for whoever has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SharedSecretSettings {
    /// Whether target and gateway tokens are taken at all.
    pub tokens: bool,
    /// Whether a gateway may announce devices that nobody knows. They wait as pending until a person lets them in.
    #[serde(default)]
    pub newcomers: bool,
}

/// A gateway token as people see it; the secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GatewayToken {
    /// Its id.
    pub id: GatewayTokenId,
    /// What it is for.
    pub label: String,
    /// The type given to devices that it announces.
    pub device_type: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Last use, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What a new gateway token should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewGatewayToken {
    /// What it is for; shown in lists.
    pub label: String,
    /// The type given to devices that it announces; rollouts are for types.
    #[serde(default)]
    pub device_type: String,
}

/// A new gateway token with its secret: the only time the secret is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedGatewayToken {
    /// The token.
    pub token: GatewayToken,
    /// `fgt_…`, sent as `Authorization: GatewayToken fgt_…`.
    pub secret: String,
}

/// A device's target token as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TargetToken {
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Last use, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What a device is that is named by its target token before it was ever seen. Not looked at for a device that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTargetToken {
    /// Its type as in manifests.
    #[serde(default)]
    pub device_type: String,
    /// Its hardware revision.
    #[serde(default)]
    pub hardware: String,
}

/// A new target token with its secret: the only time the secret is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedTargetToken {
    /// The device that it speaks for.
    pub device_id: DeviceId,
    /// `ftt_…`, sent as `Authorization: TargetToken ftt_…`.
    pub secret: String,
}

/// What the enrolment page shows of shared secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedSecrets {
    /// Gateway tokens, newest first, at most 200.
    pub gateways: Vec<GatewayToken>,
    /// Whether they count.
    pub settings: SharedSecretSettings,
    /// hawkBit's tenant: the organization's slug.
    pub tenant: String,
    /// Whether the caller may switch them on, and make and revoke gateway tokens.
    pub may_manage: bool,
}

/// Lines of a SWUpdate configuration with such a secret. `scheme` is `targettoken` or `gatewaytoken`.
pub fn swupdate_lines(url: &str, tenant: &str, device: &str, scheme: &str, secret: &str) -> String {
    format!(
        "suricatta : {{\n    url = \"{url}\";\n    tenant = \"{tenant}\";\n    id = \"{device}\";\n    {scheme} = \"{secret}\";\n    \
         cafile = \"/etc/fleetward/root.pem\";\n}};"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_fits_where_swupdate_reads_127_characters() {
        let secret = format!("ftt_{}_{}", "0".repeat(32), "s".repeat(43));
        assert!(secret.len() <= 127);
        let lines = swupdate_lines("https://fleet.example:8444", "default", "gw-1", "targettoken", &secret);
        assert!(lines.contains(&format!("    targettoken = \"{secret}\";\n")), "{lines}");
    }
}
