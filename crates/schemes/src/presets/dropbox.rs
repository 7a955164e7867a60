//! Dropbox. A request names the accounts that changed, and has neither id nor type. The next change of the
//! same accounts has the same body.

use floodgate_event::scheme::Template;

use crate::Handshake;
use crate::preset::Preset;

pub(super) fn preset() -> Preset {
    let template = Template::hmac_sha256("x-dropbox-signature");
    Preset {
        documentation: "https://www.dropbox.com/developers/reference/webhooks",
        bodies_repeat: true,
        handshakes: &[Handshake::DropboxChallenge],
        ..Preset::signed("dropbox", "Dropbox", template)
    }
}
