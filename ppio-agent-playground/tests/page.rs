//! The page as it is sent.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use ppio_agent_playground::{Page, page};

fn policy(page: &Page) -> &str {
    let headers = page.headers.iter();
    let mut policies = headers.filter(|(name, _)| *name == "content-security-policy");
    &policies.next().unwrap().1
}

#[test]
fn the_policy_admits_the_script_and_the_style_of_the_page() {
    let page = page();
    let policy = policy(&page);
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap();
    let nonce = nonce.split('\'').next().unwrap();
    for tag in ["<script nonce=\"", "<style nonce=\""] {
        let tag = format!("{tag}{nonce}\"");
        assert_eq!(page.html.matches(&tag).count(), 1, "{tag}");
    }
    assert!(!page.html.contains("{{"), "every placeholder is filled");
}

#[test]
fn each_page_has_a_nonce_of_its_own() {
    let (first, second) = (page(), page());
    assert_ne!(policy(&first), policy(&second));
    assert_ne!(first.html, second.html);
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let html = page().html.replace("http://www.w3.org/", "");
    for reference in [
        "http://",
        "https://",
        "src=",
        "@import",
        "url(",
        "innerHTML",
    ] {
        assert!(!html.contains(reference), "{reference}");
    }
}
