//! GitLab's secret token, which is in each request and signs nothing. For GitLab's signing tokens use the
//! preset `standard`.
//!
//! `X-Gitlab-Event-UUID` is not the id of an event: a webhook shares it with the webhooks that it triggers.

use crate::preset::{At, Preset, Signing};
use crate::{clear, describe};

const HEADER: &str = "x-gitlab-token";

pub(super) fn preset() -> Preset {
    let signing = Signing::Code(|_, secrets| clear::in_header(HEADER, secrets));
    Preset {
        documentation: "https://docs.gitlab.com/user/project/integrations/webhooks/",
        id: Some(At::Header("idempotency-key")),
        event_type: Some(At::Json("/object_kind")),
        secret_headers: &[HEADER],
        words: |_| describe::secret_in(HEADER),
        ..Preset::coded("gitlab", "GitLab (secret token)", signing)
    }
}
