//! Programs that existing clients expect in a sandbox and that this machine may lack.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::Error;

/// `sudo`: clients start agents with `cd /app && sudo -E python agent.py`. A sandbox gains no
/// privileges, so the command runs as it is, without the options.
const SUDO: &str = r#"#!/bin/sh
while [ "$#" -gt 0 ]; do
  case "$1" in
    -u|-g|-C|-h|-p|-r|-t|-U|-D) shift; [ "$#" -gt 0 ] && shift ;;
    --) shift; break ;;
    -*) shift ;;
    *=*) export "${1?}"; shift ;;
    *) break ;;
  esac
done
[ "$#" -gt 0 ] || exit 0
exec "$@"
"#;

/// `python`: some systems have only `python3`. The stand-in steps aside for a real one.
const PYTHON: &str = r#"#!/bin/sh
own=$(dirname "$0")
rest=
IFS=:
for directory in $PATH; do
  [ "$directory" = "$own" ] && continue
  [ -x "$directory/python" ] && exec "$directory/python" "$@"
done
exec python3 "$@"
"#;

/// `/etc/profile`: login shells would otherwise forget the PATH that the template gave them.
const PROFILE: &str = r#"# Keeps PATH as the platform set it.
for script in /etc/profile.d/*.sh; do
  [ -r "$script" ] && . "$script"
done
unset script
if [ -n "${BASH_VERSION-}" ] && [ -n "${PS1-}" ]; then PS1='\u@sandbox:\w\$ '; fi
"#;

/// Read by every `bash` of a sandbox that is a process group: clients start agents with `cd /app`,
/// and what is at `/app` for them lies below the sandbox's directory. Login shells read this
/// machine's `/etc/profile` before, which forgets the PATH.
const BASH_ENV: &str = r#"shopt -q login_shell && PATH=$PPIO_LOCAL_PATH
cd() {
  case "${1-}" in
    /*) [ -d "$PPIO_LOCAL_SANDBOX/root$1" ] && set -- "$PPIO_LOCAL_SANDBOX/root$1" ;;
  esac
  builtin cd "$@"
}
"#;

/// The directory of stand-ins on this machine.
#[derive(Debug, Clone)]
pub(crate) struct StandIns {
    directory: PathBuf,
}

impl StandIns {
    /// Writes them, again at every start: the texts may have changed since the last one.
    pub(crate) fn write(directory: PathBuf) -> Result<Self, Error> {
        for (name, text) in [
            ("sudo", SUDO),
            ("python", PYTHON),
            ("profile", PROFILE),
            ("bash-env", BASH_ENV),
        ] {
            let path = directory.join(name);
            fs::write(&path, text).map_err(Error::home(&path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .map_err(Error::home(&path))?;
        }
        Ok(Self { directory })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.directory.join("profile")
    }

    pub(crate) fn bash_env(&self) -> PathBuf {
        self.directory.join("bash-env")
    }
}
