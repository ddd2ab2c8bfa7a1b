//! The names of files that hold secrets.
//!
//! `agent deploy` leaves these files out, and `agent init` writes their names into `.dockerignore`.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Names of files and folders, at any depth and in any case. A name with a slash is the end of a
/// path; a folder includes its contents.
pub(crate) const NAMES: &[&str] = &[
    // Settings and tokens.
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".htpasswd",
    ".pgpass",
    ".my.cnf",
    ".dockercfg",
    ".docker/config.json",
    ".cargo/credentials*",
    ".gem/credentials",
    ".terraformrc",
    ".vault-token",
    // Folders with keys and credentials.
    ".ssh",
    ".aws",
    ".gnupg",
    ".kube",
    ".azure",
    ".oci",
    ".config/gcloud",
    ".config/gh",
    // Private keys and key stores.
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "*.pem",
    "*.key",
    "*.ppk",
    "*.p12",
    "*.pfx",
    "*.pkcs12",
    "*.keystore",
    "*.jks",
    "*.kdbx",
    // Credentials of cloud platforms.
    "credentials.json",
    "application_default_credentials.json",
    "client_secret*.json",
    "service-account*.json",
    "service_account*.json",
    "secrets.json",
    "secrets.toml",
    "secrets.yaml",
    "secrets.yml",
];

/// Names that [`NAMES`] matches although the files hold examples, not secrets.
pub(crate) const EXAMPLES: &[&str] = &[
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    "example.env",
    "sample.env",
    "template.env",
];

/// The compiled patterns of [`NAMES`] without [`EXAMPLES`].
#[derive(Debug)]
pub(crate) struct SecretNames {
    names: GlobSet,
    examples: GlobSet,
}

impl SecretNames {
    pub(crate) fn new() -> Result<Self, globset::Error> {
        Ok(Self {
            names: compiled(NAMES)?,
            examples: compiled(EXAMPLES)?,
        })
    }

    /// Whether a path relative to the project, or one of its folders, has the name of a secret.
    pub(crate) fn contains(&self, path: &Path) -> bool {
        self.secret_part_of(path).is_some()
    }

    /// Returns the path itself or its outermost folder that has the name of a secret.
    pub(crate) fn secret_part_of<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let parts = path.ancestors().filter(|part| !part.as_os_str().is_empty());
        let mut found = None;
        for part in parts {
            if self.names.is_match(part) && !self.examples.is_match(part) {
                found = Some(part);
            }
        }
        found
    }
}

fn compiled(names: &[&str]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for name in names {
        let glob = GlobBuilder::new(&format!("**/{name}"))
            .literal_separator(true)
            .case_insensitive(true)
            .build()?;
        set.add(glob);
    }
    set.build()
}

/// Returns [`NAMES`] as lines of `.dockerignore`, whose patterns are relative to the folder of the
/// file. No `!` lines keep [`EXAMPLES`]: an image needs no examples, and with `!` lines Docker
/// walks each ignored folder.
pub(crate) fn docker_ignore_lines() -> String {
    let lines = NAMES.iter().flat_map(|name| ["**/", name, "\n"]);
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::docker_ignore::DockerIgnore;

    const SECRET: &[&str] = &[
        ".env",
        ".env.production",
        "deep/in/.ENV.Local",
        "prod.env",
        ".npmrc",
        "sub/.pypirc",
        ".netrc",
        ".git-credentials",
        ".ssh/config",
        "home/.aws/credentials",
        ".gnupg/trustdb.gpg",
        ".docker/config.json",
        "x/.kube/config",
        ".azure/a",
        ".config/gcloud/x/y.db",
        "keys/id_rsa",
        "ID_ED25519",
        "server.pem",
        "tls/Server.KEY",
        "a.p12",
        "a.pfx",
        "a.keystore",
        "a.jks",
        "credentials.json",
        "service-account-prod.json",
        ".cargo/credentials.toml",
    ];
    const PLAIN: &[&str] = &[
        "agent.py",
        ".env.example",
        "sub/.env.sample",
        ".env.template",
        "sample.env",
        "environment.py",
        "id_rsa.pub",
        ".docker/other.json",
        ".config/other",
        ".cargo/config.toml",
        "keyboard.txt",
        "monkey",
        "data/credentials.md",
    ];

    #[test]
    fn secrets_match_by_name_in_any_case_and_at_any_depth() {
        let secrets = SecretNames::new().unwrap();
        for path in SECRET {
            assert!(secrets.contains(Path::new(path)), "{path}");
        }
        for path in PLAIN {
            assert!(!secrets.contains(Path::new(path)), "{path}");
        }
        let inside = Path::new("home/.ssh/keys/id_rsa");
        assert_eq!(
            secrets.secret_part_of(inside),
            Some(Path::new("home/.ssh")),
            "the folder is what is left out"
        );
    }

    #[test]
    fn docker_ignore_lines_match_the_same_names() {
        let ignore = DockerIgnore::parse(&docker_ignore_lines()).unwrap();
        for path in SECRET {
            // Docker's patterns are case sensitive.
            let path = path.to_lowercase();
            assert!(ignore.leaves_out(Path::new(&path)), "{path}");
        }
        let secrets = compiled(NAMES).unwrap();
        for path in PLAIN.iter().map(Path::new) {
            assert_eq!(ignore.leaves_out(path), secrets.is_match(path), "{path:?}");
        }
    }

    #[test]
    fn the_dockerignore_of_this_repository_lists_them() {
        let file = include_str!("../../../deploy/Dockerfile.dockerignore");
        assert!(file.contains(&docker_ignore_lines()), "{file}");
    }

    #[test]
    fn the_documentation_lists_them() {
        let text = include_str!("../../../docs/deploy.md");
        let words: Vec<_> = text.split_whitespace().collect();
        for name in NAMES {
            assert!(words.contains(name), "no {name} in docs/deploy.md");
        }
        for name in EXAMPLES {
            assert!(text.contains(&format!("`{name}`")), "no {name}");
        }
    }
}
