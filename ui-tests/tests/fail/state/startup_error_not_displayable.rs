struct Broken;

#[ppio::startup]
fn build() -> Result<u8, Broken> {
    Err(Broken)
}

fn main() {}
