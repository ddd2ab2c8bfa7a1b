//! Makes the directory `door` in its working directory and swaps it, for as long as it lives, with a
//! link to the place that its argument names.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, RenameFlags, renameat_with};

fn main() {
    let outside = std::env::args().nth(1).expect("the place is the argument");
    fs::create_dir("door").expect("an empty working directory");
    fs::write("door/secret", "inside").expect("a file can be written");
    symlink(outside, "link").expect("a link can be made");
    fs::write("ready", "").expect("a file can be written");
    loop {
        renameat_with(CWD, "door", CWD, "link", RenameFlags::EXCHANGE)
            .expect("names can be swapped");
    }
}
