//! Widgets without domain words: they know tones, tables and forms, not devices or rollouts.
//!
//! Most are plain functions that return [`leptos::prelude::AnyView`]: one type for the compiler, few bytes in the browser. A widget that keeps
//! state is a component. Everything works before hydration and without JavaScript: a dialog's trigger is a link to a page with the same form,
//! menus are `popover`s, filters are `GET` forms. The behaviours that need script are delegated from the document once ([`behaviour`]).

pub mod alarm;
pub mod asked;
pub mod behaviour;
pub mod browser;
pub mod chart;
pub mod completion;
pub mod copy;
pub mod dialog;
pub mod dropzone;
pub mod facet;
pub mod fold;
pub mod form;
pub mod frame;
pub mod gates;
pub mod icon;
pub mod keys;
pub mod machine;
pub mod number;
pub mod page;
pub mod pager;
pub mod palette;
pub mod progress;
pub mod qr;
pub mod refocus;
pub mod stage_bar;
pub mod status;
pub mod stepper;
pub mod svg;
pub mod table;
pub mod tabs;
pub mod time;
pub mod toast;
pub mod unread;
pub mod uploads;
pub mod waffle;

pub use copy::{code_block, code_sample, copyable};
pub use dialog::{Confirm, confirm_dialog, dialog, dialog_link};
pub use facet::{chip, facet};
pub use fold::{fold, fold_card};
pub use form::{Control, Field, fault_banner, field, select, submit, text};
pub use icon::icon;
pub use page::{PageHead, banner, card, empty, fault_state, page};
pub use pager::pager;
pub use qr::qr_code;
pub use status::{Tone, badge, dot, status, tag};
pub use table::{Column, table};
pub use tabs::{Tab, tabs};
