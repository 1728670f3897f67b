//! The bearer token of an admin address (RFC 6750 §2.1): who has it may change what the node does.
//!
//! A node that was given none draws one at start and leaves it where programs of the same user on the same machine
//! find it: in the user's runtime directory, under the admin address, readable by its owner alone. It is presented to that
//! very address: a machine has many loopback addresses, and another user's process may listen at the same port of the
//! next one.

use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nitro_elect_protocol::hash;

use crate::help::Help;
use crate::private_file::{self, MODE, PrivateFileError};
use crate::state_home::{NoStateHome, runtime_home};
use crate::storage::atomic;

/// The shortest token, in characters: shorter ones can be guessed over a network.
const LENGTH_MIN: usize = 16;
/// The longest token, in characters.
const LENGTH_MAX: usize = 256;

/// A secret that gives the right to change things. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(..)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file could not be read, or others can.
    #[error("token: {0}")]
    File(#[from] PrivateFileError),
    /// What is in the file can be no token.
    #[error("the token in {0} is not {LENGTH_MIN} to {LENGTH_MAX} printable characters without spaces")]
    Form(PathBuf),
    /// There is no place for one.
    #[error("no place for the admin token: {0}")]
    Place(#[from] NoStateHome),
    /// It could not be written.
    #[error("could not write the admin token {path}: {source}")]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for an admin token")]
    Randomness,
}

impl Help for TokenError {
    fn help(&self) -> String {
        match self {
            TokenError::File(error) => error.help(),
            TokenError::Form(_) => "make one, as in: openssl rand -hex 32 > token; chmod 600 token".into(),
            _ => "name a file with a token of your own with --token-file".into(),
        }
    }
}

impl Token {
    /// Reads the token of a file that its owner alone can read; spaces and line feeds around it do not count.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let text = private_file::read(path)?;
        let token = text.trim();
        let is_sound = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_sound || !(LENGTH_MIN..=LENGTH_MAX).contains(&token.len()) {
            return Err(TokenError::Form(path.into()));
        }
        Ok(Token(token.to_owned()))
    }

    fn draw() -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| TokenError::Randomness)?;
        Ok(Token(hash::to_hex(&bytes)))
    }

    /// Whether this header presents it. Hashes are compared, so that the time taken tells nothing of the token.
    pub fn is_in(&self, authorization: &str) -> bool {
        let presented = authorization.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        presented.is_some_and(|(_, token)| {
            hash::sha256(token.trim().as_bytes()) == hash::sha256(self.0.as_bytes())
        })
    }

    /// The value of the `Authorization` header that presents it.
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

/// A token that was drawn for this process, and its file, which goes when it does.
#[derive(Debug)]
pub struct DrawnToken {
    /// The token.
    pub token: Token,
    path: PathBuf,
}

impl DrawnToken {
    /// Draws a token for this admin address and leaves it for the user's own programs.
    pub fn leave(at: SocketAddr) -> Result<Self, TokenError> {
        let (token, path) = (Token::draw()?, place(at)?);
        let failed = |source| TokenError::Write { path: path.clone(), source };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
            private_file::check_directory(directory)?;
        }
        atomic::replace(&path, token.0.as_bytes(), MODE).map_err(failed)?;
        Ok(DrawnToken { token, path })
    }
}

impl Drop for DrawnToken {
    fn drop(&mut self) {
        let _may_be_gone = fs::remove_file(&self.path);
    }
}

/// The token that a process of this user left for its admin address, if it is there.
pub fn left(at: SocketAddr) -> Option<Token> {
    let path = place(at).ok()?;
    private_file::check_directory(path.parent()?).ok()?;
    Token::read(&path).ok()
}

fn place(at: SocketAddr) -> Result<PathBuf, NoStateHome> {
    Ok(runtime_home()?.join(file_of(at)))
}

/// The name of an address's file. 127.0.0.1, where commands ask unless told otherwise, has the port alone in it, and so
/// has every address at once: nobody else can listen at 127.0.0.1 then.
fn file_of(at: SocketAddr) -> String {
    match at.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST | Ipv4Addr::UNSPECIFIED) => format!("admin-{}.token", at.port()),
        _ => format!("admin-{at}.token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn read(text: &str) -> Result<Token, TokenError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Token::read(&path)
    }

    #[test]
    fn a_token_is_read_without_what_surrounds_it_and_never_shown() {
        let token = read("  0123456789abcdef\n").unwrap();
        assert!(token.is_in("Bearer 0123456789abcdef") && token.is_in("bearer 0123456789abcdef"));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_token_is_not_found_for_another_address_of_the_machine_with_the_same_port() {
        let file = |at: &str| file_of(at.parse().unwrap());
        assert_eq!(file("127.0.0.1:15000"), "admin-15000.token");
        assert_eq!(file("0.0.0.0:15000"), file("127.0.0.1:15000"));
        assert_eq!(file("[::1]:15000"), "admin-[::1]:15000.token");
        for other in ["127.0.0.2:15000", "[::1]:15000", "[::]:15000", "10.0.0.1:15000", "127.0.0.1:15001"] {
            assert_ne!(file(other), file("127.0.0.1:15000"), "{other}");
        }
    }

    #[test]
    fn another_token_scheme_or_text_is_not_it() {
        let token = read("0123456789abcdef").unwrap();
        for header in
            ["", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef", "Bearer 0123456789abcdeF"]
        {
            assert!(!token.is_in(header), "{header}");
        }
    }

    #[test]
    fn what_can_be_guessed_split_or_read_by_others_is_refused() {
        for text in ["", "short", "0123456789abcdef 0123456789abcdef", "0123456789abcdé0", &"x".repeat(257)]
        {
            assert!(matches!(read(text), Err(TokenError::Form(_))), "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "0123456789abcdef").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Token::read(&path), Err(TokenError::File(PrivateFileError::Exposed { .. }))));
    }
}
