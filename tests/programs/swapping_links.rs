//! Makes the directory `door` in its working directory and, as long as it runs, swaps it with a
//! link to the path in its argument.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, RenameFlags, renameat_with};

fn main() {
    let outside = std::env::args().nth(1).expect("a directory outside");
    lay_out(&outside);
    fs::write("ready", "").expect("a file can be written");
    loop {
        if renameat_with(CWD, "door", CWD, "link", RenameFlags::EXCHANGE).is_err() {
            // The platform has replaced the directory or the link.
            lay_out(&outside);
        }
    }
}

fn lay_out(outside: &str) {
    for name in ["door", "link"] {
        let _ = fs::remove_file(name);
        let _ = fs::remove_dir_all(name);
    }
    let _ = fs::create_dir("door");
    let _ = fs::write("door/secret", "inside");
    let _ = symlink(outside, "link");
}
