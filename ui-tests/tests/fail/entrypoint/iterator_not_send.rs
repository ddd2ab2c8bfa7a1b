use std::rc::Rc;

use ppio::Value;

#[ppio::entrypoint]
fn agent(request: Value) -> impl Iterator<Item = usize> {
    let shared = Rc::new(request);
    (0..3).map(move |count| count * shared.as_array().map_or(0, Vec::len))
}
