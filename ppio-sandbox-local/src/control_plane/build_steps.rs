//! The steps of a build request, checked before anything is built.

use std::path::{Component, Path};

use serde::Deserialize;

use crate::api::ApiError;
use crate::template::{TemplateStep, is_hash};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StepRequest {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    args: Vec<String>,
    files_hash: Option<String>,
}

pub(super) fn check(index: usize, request: StepRequest) -> Result<TemplateStep, ApiError> {
    let number = index + 1;
    let kind = request.kind.to_ascii_uppercase();
    let wrong =
        |expected: &str| ApiError::bad_request(format!("step {number} ({kind}) takes {expected}"));
    if request.args.iter().any(|argument| argument.contains('\0')) {
        return Err(wrong("arguments without NUL bytes"));
    }
    // Clients send arguments that do not apply as empty strings.
    let argument = |place: usize| {
        request
            .args
            .get(place)
            .filter(|argument| !argument.is_empty())
            .cloned()
    };
    match kind.as_str() {
        "COPY" | "ADD" => {
            let (source, target) = argument(0)
                .zip(argument(1))
                .ok_or_else(|| wrong("a source and a target"))?;
            if leads_above_start(&source) {
                return Err(wrong(&format!(
                    "a source among the files of the step, not {source:?}"
                )));
            }
            let hash = request
                .files_hash
                .filter(|hash| is_hash(hash))
                .ok_or_else(|| wrong("the hash of the step's files"))?;
            let mode = match argument(3) {
                None => None,
                Some(mode) => {
                    let mode = u32::from_str_radix(mode.trim_start_matches("0o"), 8).ok();
                    Some(mode.filter(|mode| *mode <= 0o1777).ok_or_else(|| {
                        wrong("an octal mode without setuid and setgid, such as 0755")
                    })?)
                }
            };
            Ok(TemplateStep::Copy {
                source,
                target,
                mode,
                hash,
            })
        }
        "RUN" => {
            let command = argument(0).ok_or_else(|| wrong("a command"))?;
            Ok(TemplateStep::Run {
                command,
                user: argument(1),
            })
        }
        "ENV" => {
            if request.args.is_empty() || !request.args.len().is_multiple_of(2) {
                return Err(wrong("pairs of a name and a value"));
            }
            let pairs: Vec<_> = request
                .args
                .chunks(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect();
            if pairs
                .iter()
                .any(|(name, _)| name.is_empty() || name.contains('='))
            {
                return Err(wrong("names that can be environment variables"));
            }
            Ok(TemplateStep::Environment { variables: pairs })
        }
        "WORKDIR" => argument(0)
            .map(|path| TemplateStep::Directory { path })
            .ok_or_else(|| wrong("a directory")),
        "USER" => {
            let name = argument(0).ok_or_else(|| wrong("a user"))?;
            let plain = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !plain || name.starts_with('.') || name.len() > 32 {
                return Err(wrong("a user's plain name"));
            }
            Ok(TemplateStep::User { name })
        }
        other => Err(ApiError::bad_request(format!(
            "step {number} has the unknown type {other:?}: send COPY, ADD, RUN, ENV, WORKDIR or \
             USER"
        ))),
    }
}

/// Whether a path leads above the directory that it starts in.
fn leads_above_start(path: &str) -> bool {
    let mut depth = 0_usize;
    Path::new(path).components().any(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            false
        }
        Component::ParentDir => match depth.checked_sub(1) {
            Some(above) => {
                depth = above;
                false
            }
            None => true,
        },
        Component::RootDir | Component::CurDir | Component::Prefix(_) => false,
    })
}
