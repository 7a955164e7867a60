//! `floodgate keys`: what the parts of a deployment prove themselves with.
//! What is there stays, so that each command can be given again and again.

mod authority;
mod certificate;
mod names;
mod nkey;
mod sealing;
mod store;
mod token;

use std::path::PathBuf;

use clap::Subcommand;

use self::store::{KeyError, KeyFiles};
use crate::exit::Failure;
use crate::output;

/// Make keys, certificates and tokens of a deployment; existing keys are kept.
#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a certificate authority: DIR/ca.pem and DIR/ca.key, valid for ten years
    Ca {
        /// Its folder, made if it is not there
        dir: PathBuf,
        /// What it calls itself
        #[arg(long, default_value = "Floodgate CA")]
        name: String,
    },
    /// Make a server's certificate, PREFIX.pem and PREFIX.key; made anew if it is of another authority,
    /// has other names or ends soon
    Certificate(certificate::CertificateArgs),
    /// Make a NATS user's key: the seed in FILE, the public key in FILE.pub
    Nkey {
        /// Where the seed goes
        file: PathBuf,
    },
    /// Make the key that secrets are sealed to: the private half in FILE, the public one in FILE.pub
    Sealing {
        /// The file to write the private half to
        file: PathBuf,
    },
    /// Make a random token
    Token {
        /// The file to write it to
        file: PathBuf,
    },
}

/// Makes what is missing, and prints the name of each file that was made.
///
/// # Errors
/// If a file is not what it should be, or cannot be written.
pub(crate) fn run(command: &KeysCommand) -> Result<(), Failure> {
    let made = make(command).map_err(Failure::work)?;
    output::print(&made.iter().map(|path| format!("{}\n", path.display())).collect::<String>())
}

fn make(command: &KeysCommand) -> Result<Vec<PathBuf>, KeyError> {
    let mut files = KeyFiles::default();
    match command {
        KeysCommand::Ca { dir, name } => authority::make(&mut files, dir, name)?,
        KeysCommand::Certificate(args) => certificate::make(&mut files, args)?,
        KeysCommand::Nkey { file } => nkey::make(&mut files, file)?,
        KeysCommand::Sealing { file } => sealing::make(&mut files, file)?,
        KeysCommand::Token { file } => token::make(&mut files, file)?,
    }
    Ok(files.made())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    /// Gives a command twice: the second time nothing is made and nothing changes.
    fn twice(command: &KeysCommand) -> Vec<PathBuf> {
        let made = make(command).unwrap();
        let contents = || made.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>();
        let before = contents();
        assert_eq!(make(command).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(contents(), before);
        made
    }

    #[test]
    fn keys_are_made_once_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/key");
        for (command, suffixes) in [
            (KeysCommand::Nkey { file: file.with_extension("nk") }, &["nk", "nk.pub"][..]),
            (KeysCommand::Sealing { file: file.with_extension("seal") }, &["seal", "seal.pub"]),
            (KeysCommand::Token { file: file.with_extension("token") }, &["token"]),
        ] {
            let made = twice(&command);
            let expected: Vec<_> = suffixes.iter().map(|suffix| file.with_extension(suffix)).collect();
            assert_eq!(made, expected);
            assert_eq!(mode(&made[0]), 0o600);
            assert!(made.get(1).is_none_or(|public| mode(public) == 0o644));
        }
        assert_eq!(mode(&folder.path().join("new")), 0o700);
        assert_eq!(fs::read_to_string(file.with_extension("token")).unwrap().trim().len(), 64);
    }

    #[test]
    fn what_no_program_would_take_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        for command in [
            KeysCommand::Nkey { file: folder.path().join("a") },
            KeysCommand::Sealing { file: folder.path().join("b") },
            KeysCommand::Token { file: folder.path().join("c") },
        ] {
            let made = make(&command).unwrap();
            let text = fs::read_to_string(&made[0]).unwrap();
            fs::write(&made[0], text.replace('\n', "\r\n")).unwrap();
            make(&command).unwrap();
            for unfit in [text.replace('\n', " \n"), String::new()] {
                fs::write(&made[0], unfit).unwrap();
                assert!(matches!(make(&command), Err(KeyError::Unfit { .. })));
            }
        }
    }

    #[test]
    fn a_lost_public_half_is_made_again_from_the_private_one() {
        let folder = tempfile::tempdir().unwrap();
        for command in [
            KeysCommand::Nkey { file: folder.path().join("a") },
            KeysCommand::Sealing { file: folder.path().join("b") },
        ] {
            let made = make(&command).unwrap();
            let public = fs::read(&made[1]).unwrap();
            fs::remove_file(&made[1]).unwrap();
            assert_eq!(make(&command).unwrap(), [made[1].clone()]);
            assert_eq!(fs::read(&made[1]).unwrap(), public);
        }
    }

    #[test]
    fn a_public_half_of_another_key_is_refused_but_beside_a_new_one_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for command in [
            |file: &Path| KeysCommand::Nkey { file: file.to_owned() },
            |file: &Path| KeysCommand::Sealing { file: file.to_owned() },
        ] {
            let made = make(&command(&one)).unwrap();
            let (private, public) = (&made[0], &made[1]);
            let foreign = &make(&command(&other)).unwrap()[1];
            fs::copy(foreign, public).unwrap();
            let refused = make(&command(&one)).unwrap_err().to_string();
            assert!(refused.contains("/one.pub is not the public half of /"), "{refused}");
            assert_eq!(fs::read(public).unwrap(), fs::read(foreign).unwrap(), "it is kept");

            fs::remove_file(private).unwrap();
            assert_eq!(make(&command(&one)).unwrap(), made);
            assert_ne!(fs::read(public).unwrap(), fs::read(foreign).unwrap());
            assert_eq!(make(&command(&one)).unwrap(), Vec::<PathBuf>::new());
            for file in [&one, &other] {
                fs::remove_file(file).unwrap();
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "something else").unwrap();
        for command in [KeysCommand::Nkey { file: file.clone() }, KeysCommand::Sealing { file: file.clone() }]
        {
            let refused = make(&command).unwrap_err().to_string();
            assert!(refused.contains("/key: expected") && !refused.contains("something"), "{refused}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "something else");
    }
}
