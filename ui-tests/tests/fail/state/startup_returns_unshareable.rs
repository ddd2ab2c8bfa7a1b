use std::cell::Cell;

#[ppio::startup]
async fn build() -> Result<Cell<u8>, String> {
    Ok(Cell::new(1))
}

fn main() {}
