//! The wasm entry: `hydrate()`, nothing else.

use wasm_bindgen::prelude::wasm_bindgen;

/// Called by the shell once the module is loaded.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    app::hydrate();
}
