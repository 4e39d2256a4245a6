//! Labelled inputs.

use super::post::{Post, refusal};
use crate::ui::{completion::Completing, icon::icon};
use leptos::prelude::*;
use wire::Fault;

/// The input of a field.
#[derive(Debug, Clone)]
pub enum Control {
    /// One line; the `type` attribute.
    Input(&'static str),
    /// One line in the selector language, which goes on by itself while it is typed.
    Selector(Completing),
    /// Several lines.
    Area,
    /// One of these: value and label.
    Select(Vec<(String, String)>),
    /// Yes or no, posted as `true`.
    Check,
    /// Any of these, value and label; each that is checked is posted as `{name}[]`.
    Checks(Vec<(String, String)>),
}

/// As many boxes stand together as they are; more have a place of their own to be scrolled in.
const FEW: usize = 12;

/// A labelled input. Build it, then [`Field::view`].
#[derive(Debug, Clone)]
pub struct Field {
    name: String,
    label: String,
    control: Control,
    value: String,
    hint: String,
    error: Signal<Option<String>>,
    call: Option<Post>,
    required: bool,
    autocomplete: Option<&'static str>,
    placeholder: Option<&'static str>,
    pattern: Option<String>,
    bounds: Option<(i64, i64)>,
    max_length: Option<u32>,
    list: Option<&'static str>,
    id: String,
    of: String,
}

/// One line of text.
pub fn text(name: impl Into<String>, label: impl Into<String>) -> Field {
    field(name, label, Control::Input("text"))
}

/// One line that says which devices.
pub fn selector(name: impl Into<String>, label: impl Into<String>, ways: Completing) -> Field {
    field(name, label, Control::Selector(ways)).id(ways.id()).autocomplete("off")
}

/// One of some values.
pub fn select(name: impl Into<String>, label: impl Into<String>, options: Vec<(String, String)>) -> Field {
    field(name, label, Control::Select(options))
}

/// A field with this control. `name` is what is posted.
pub fn field(name: impl Into<String>, label: impl Into<String>, control: Control) -> Field {
    let name: String = name.into();
    Field {
        id: format!("f-{name}"),
        name,
        label: label.into(),
        control,
        value: String::new(),
        hint: String::new(),
        error: Signal::stored(None),
        call: None,
        required: false,
        autocomplete: None,
        placeholder: None,
        pattern: None,
        bounds: None,
        max_length: None,
        list: None,
        of: String::new(),
    }
}

impl Field {
    /// Another id than `f-{name}`: for the second form with such a field on a page.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }
    /// What it is of, said only to who hears the label: where many fields of a page have the same one, each under the heading of its own.
    #[must_use]
    pub fn of(mut self, whose: impl Into<String>) -> Self {
        self.of = whose.into();
        self
    }
    /// What is in it at first; for [`Control::Check`] `true` checks it, for [`Control::Checks`] the checked values stand here with blanks between them.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }
    /// A line under it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
    /// Must be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// The `autocomplete` token.
    #[must_use]
    pub fn autocomplete(mut self, token: &'static str) -> Self {
        self.autocomplete = Some(token);
        self
    }
    /// An example, shown while it is empty.
    #[must_use]
    pub fn placeholder(mut self, example: &'static str) -> Self {
        self.placeholder = Some(example);
        self
    }
    /// Only exactly this text passes (blanks around it don't count); the browser checks it, the server again.
    #[must_use]
    pub fn exactly(mut self, text: &str) -> Self {
        self.pattern = Some(exact_pattern(text));
        self
    }
    /// Least and greatest number.
    #[must_use]
    pub fn bounds(mut self, least: i64, greatest: i64) -> Self {
        self.bounds = Some((least, greatest));
        self
    }
    /// Most characters.
    #[must_use]
    pub fn max_length(mut self, characters: u32) -> Self {
        self.max_length = Some(characters);
        self
    }
    /// The id of a `datalist` of what can be chosen; anything else may be typed as well. Only for [`Control::Input`].
    #[must_use]
    pub fn list(mut self, id: &'static str) -> Self {
        self.list = Some(id);
        self
    }
    /// Shows the refusal here if it is about this field.
    #[must_use]
    pub fn fault(mut self, fault: Option<&Fault>) -> Self {
        self.error = Signal::stored(fault.filter(|f| f.field.as_deref() == Some(&self.name)).map(|f| f.message.clone()));
        self
    }
    /// Shows what is wrong while something is, as it comes and goes with what is typed.
    #[must_use]
    pub fn wrong(mut self, error: Signal<Option<String>>) -> Self {
        self.error = error;
        self
    }
    /// Shows what the call's last post was refused with here if it is about this field. Only the words come and go: the input stays, with what
    /// was typed, also while the page around it is read again; without JavaScript what was typed comes back with the refusal.
    #[must_use]
    pub fn refused(mut self, call: impl Into<Post>) -> Self {
        self.call = Some(call.into());
        self
    }
    /// The markup.
    pub fn view(self) -> AnyView {
        let Self {
            id,
            name,
            label,
            control,
            value,
            hint,
            error,
            call,
            required,
            autocomplete,
            placeholder,
            pattern,
            bounds,
            max_length,
            list,
            of,
        } = self;
        let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-err"));
        let value = call.and_then(|call| call.typed(&name)).unwrap_or(value);
        let error = match call {
            None => error,
            Some(call) => {
                let name = name.clone();
                Signal::derive(move || refusal(call).filter(|f| f.field.as_deref() == Some(&name)).map(|f| f.message))
            }
        };
        let (with_hint, with_error) = ((!hint.is_empty()).then(|| hint_id.clone()), error_id.clone());
        let described = move || match (&with_hint, error.with(Option::is_none)) {
            (hint, true) => hint.clone(),
            (None, false) => Some(with_error.clone()),
            (Some(hint), false) => Some(format!("{hint} {with_error}")),
        };
        let invalid = move || error.with(Option::is_some).then_some("true");
        let input = match control {
            Control::Check => {
                return view! {
                    <div class="field">
                        <label class="check"><input type="checkbox" name=name id=id value="true" checked={value == "true"}/>{label}</label>
                        {(!hint.is_empty()).then(|| view! { <span class="hint">{hint}</span> })}
                    </div>
                }
                .into_any();
            }
            Control::Checks(options) => {
                let (name, many) = (format!("{name}[]"), (options.len() > FEW).then_some("true"));
                let chosen = call.and_then(|call| call.chosen(&name));
                let chosen = chosen.unwrap_or_else(|| value.split_whitespace().map(str::to_owned).collect());
                return view! {
                    <fieldset class="field" aria-describedby=described>
                        <legend>{label}</legend>
                        <div class="row" data-many=many>{boxes(&id, &name, options, &chosen)}</div>
                        {(!hint.is_empty()).then(|| view! { <span class="hint" id=hint_id>{hint}</span> })}
                        {move || error.get().map(|error| view! { <span class="err" id=error_id.clone()>{icon("circle-alert")}{error}</span> })}
                    </fieldset>
                }
                .into_any();
            }
            Control::Input(kind) => view! {
                <input class="input" id=id.clone() name=name type=kind value=value required=required autocomplete=autocomplete placeholder=placeholder
                    pattern=pattern min=bounds.map(|b| b.0) max=bounds.map(|b| b.1) maxlength=max_length list=list
                    aria-describedby=described aria-invalid=invalid/>
            }
            .into_any(),
            Control::Selector(ways) => view! {
                <div class="completes">
                    <input class="input" id=id.clone() name=name type="text" value=value required=required autocomplete=autocomplete placeholder=placeholder
                        maxlength=max_length spellcheck="false" aria-describedby=described aria-invalid=invalid
                        role=move || ways.role(None) aria-autocomplete=move || ways.autocomplete() aria-controls=move || ways.controls()
                        aria-expanded=move || ways.expanded() aria-activedescendant=move || ways.active()
                        on:input=move |_| ways.typed() on:keydown=move |event| ways.key(&event)
                        on:focus=move |_| ways.learn() on:blur=move |_| ways.close()/>
                    {ways.list()}
                </div>
            }
            .into_any(),
            Control::Area => view! {
                <textarea class="textarea" id=id.clone() name=name required=required placeholder=placeholder maxlength=max_length
                    aria-describedby=described aria-invalid=invalid>{value}</textarea>
            }
            .into_any(),
            Control::Select(options) => {
                let options = options
                    .into_iter()
                    .map(|(v, label)| {
                        let selected = v == value;
                        view! { <option value=v selected=selected>{label}</option> }
                    })
                    .collect_view();
                view! {
                    <select class="select" id=id.clone() name=name required=required aria-describedby=described aria-invalid=invalid>{options}</select>
                }
                .into_any()
            }
        };
        view! {
            <div class="field">
                <label for=id>{label}{(!of.is_empty()).then(|| view! { <span class="sr">{format!(", {of}")}</span> })}</label>
                {input}
                {(!hint.is_empty()).then(|| view! { <span class="hint" id=hint_id>{hint}</span> })}
                {move || error.get().map(|error| view! { <span class="err" id=error_id.clone()>{icon("circle-alert")}{error}</span> })}
            </div>
        }
        .into_any()
    }
}

/// A checkbox for each value.
fn boxes(id: &str, name: &str, options: Vec<(String, String)>, chosen: &[String]) -> AnyView {
    let all = options
        .into_iter()
        .map(|(value, label)| {
            let (id, name, checked) = (format!("{id}-{value}"), name.to_owned(), chosen.contains(&value));
            view! { <label class="check"><input type="checkbox" name=name id=id value=value checked=checked/>{label}</label> }
        })
        .collect_view();
    all.into_any()
}

/// Pure: the `pattern` attribute that only this text matches, blanks around it allowed.
pub fn exact_pattern(text: &str) -> String {
    let mut out = String::from("\\s*");
    for c in text.trim().chars() {
        if "^$\\.*+?()[]{}|/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push_str("\\s*");
    out
}

#[cfg(test)]
mod tests {
    use super::exact_pattern;

    #[test]
    fn a_pattern_takes_the_name_literally() {
        assert_eq!(exact_pattern(" Gateway 4.12 (eu) "), "\\s*Gateway 4\\.12 \\(eu\\)\\s*");
        assert_eq!(exact_pattern("gw-1:a"), "\\s*gw-1:a\\s*");
    }
}
