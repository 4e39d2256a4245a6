//! Pure: a selector as SQL over `devices d`, every value bound. Holds no statement of its own.

use super::selector::{Field, Selector};
use crate::db::{Value, literal};

/// A `WHERE` condition and the values of its `$n`.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

impl Filter {
    /// The next placeholder, with its value.
    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Appends the selector's condition, in parentheses.
    pub(super) fn push(&mut self, selector: &Selector) {
        let condition = self.condition(selector);
        self.text.push_str(&condition);
    }

    fn condition(&mut self, selector: &Selector) -> String {
        match selector {
            Selector::All(parts) if parts.is_empty() => "(1 = 1)".into(),
            Selector::All(parts) => self.list(parts, " AND "),
            Selector::Any(parts) => self.list(parts, " OR "),
            Selector::Not(part) => format!("(NOT {})", self.condition(part)),
            Selector::Word(word) if word.contains('*') => format!("({})", self.is(&Field::Id, word)),
            Selector::Word(word) => {
                let pattern = self.bind(Value::Text(format!("%{}%", literal(&word.to_lowercase()))));
                format!("(d.device_id_lower LIKE {pattern} ESCAPE '\\')")
            }
            Selector::Sequence(how, n) => {
                let n = self.bind(Value::Int(*n));
                format!("(d.sequence {} {n})", how.as_str())
            }
            Selector::Is(field, values) => {
                let parts: Vec<String> = values.iter().map(|v| self.is(field, v)).collect();
                format!("({})", parts.join(" OR "))
            }
        }
    }

    fn list(&mut self, parts: &[Selector], between: &str) -> String {
        let parts: Vec<String> = parts.iter().map(|p| self.condition(p)).collect();
        format!("({})", parts.join(between))
    }

    fn is(&mut self, field: &Field, value: &str) -> String {
        match field {
            Field::Id => self.compare("d.device_id_lower", &value.to_lowercase()),
            Field::Type => self.compare("d.device_type", value),
            Field::Hardware => self.compare("d.hardware", value),
            Field::Version => self.compare("d.version", value),
            Field::State => self.compare("d.state", value),
            Field::Update => self.compare("d.update_state", value),
            Field::Online => {
                let yes = self.bind(Value::Bool(value == "yes"));
                format!("d.online = {yes}")
            }
            Field::Tag => {
                let tag = self.compare("t.tag", value);
                format!("EXISTS (SELECT 1 FROM device_tags t WHERE t.device = d.number AND {tag})")
            }
            Field::Attribute(name) => {
                let name = self.bind(Value::Text(name.clone()));
                let value = self.compare("a.value", value);
                format!("EXISTS (SELECT 1 FROM device_attributes a WHERE a.device = d.number AND a.name = {name} AND {value})")
            }
        }
    }

    fn compare(&mut self, column: &str, value: &str) -> String {
        if value.contains('*') {
            let pattern: Vec<String> = value.split('*').map(literal).collect();
            let pattern = self.bind(Value::Text(pattern.join("%")));
            format!("{column} LIKE {pattern} ESCAPE '\\'")
        } else {
            let value = self.bind(Value::Text(value.to_owned()));
            format!("{column} = {value}")
        }
    }
}

/// Whether a selector asks for a state itself; lists leave out decommissioned devices unless one does.
pub(super) fn asks_for_state(selector: &Selector) -> bool {
    match selector {
        Selector::All(parts) | Selector::Any(parts) => parts.iter().any(asks_for_state),
        Selector::Not(part) => asks_for_state(part),
        Selector::Is(field, _) => *field == Field::State,
        Selector::Sequence(..) | Selector::Word(_) => false,
    }
}
