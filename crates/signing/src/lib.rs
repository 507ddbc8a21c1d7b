//! Ed25519 keys (RFC 8032) in files: what devices and servers sign their statements with.
//!
//! Device and server share no code but this, and what is in `protocol`: each makes its key at its first use and keeps it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::Hex;
use protocol::certificate::{PublicKey, Signature, Signed};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use tempfile::NamedTempFile;

/// A key that can sign. `Debug` shows its public half only.
pub struct SigningKey(Ed25519KeyPair);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the key file {path} cannot be used: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{0} is not a key file; put it aside, and a new key is made")]
    NotAKey(PathBuf),
    /// The system gives no randomness.
    #[error("the system has no secure source of randomness")]
    NoRandomness,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self::from_seed(random_seed()?))
    }

    /// The key of this seed, which is all that is secret about it.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).expect("every seed of 32 bytes makes a key"))
    }

    /// The key in a file; one is made and kept there if the file is missing. Only this user may read it.
    ///
    /// # Errors
    /// [`KeyError`]. A file that is no key is left as it is.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        seed_in_file(path).map(Self::from_seed)
    }

    /// What others know the key by.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        Hex(bytes)
    }

    /// Signs a text.
    #[must_use]
    pub fn sign(&self, text: &str) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(text.as_bytes()).as_ref());
        Hex(bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, …)", self.public())
    }
}

/// The 32 random bytes in a file; they are drawn and kept there if the file is missing. Only this user may read it.
///
/// # Errors
/// [`KeyError`]. A file that holds something else is left as it is.
pub fn seed_in_file(path: &Path) -> Result<[u8; 32], KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => {
            let seed: Hex<32> = text.trim_end().parse().map_err(|_| KeyError::NotAKey(path.to_owned()))?;
            Ok(seed.0)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let seed = random_seed()?;
            match keep(path, &format!("{}\n", Hex(seed))) {
                // Another program has made one at the same moment: there is one key, not two.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => seed_in_file(path),
                kept => kept.map(|()| seed).map_err(failed),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(KeyError::NotAKey(path.to_owned())),
        Err(error) => Err(failed(error)),
    }
}

/// Points of small order, without the bit of the sign (as libsodium refuses them): under such a key there are
/// signatures that hold for many texts, and nobody had to own a key to make them.
const WEAK_KEYS: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// Whether the key's owner has signed the text.
#[must_use]
pub fn verify(key: &PublicKey, text: &str, signature: &Signature) -> bool {
    !is_weak(key) && holds(key, text, signature)
}

fn is_weak(key: &PublicKey) -> bool {
    let mut unsigned = *key;
    unsigned.0[31] &= 0x7f;
    WEAK_KEYS.contains(&unsigned.to_string().as_str())
}

fn holds(key: &PublicKey, text: &str, signature: &Signature) -> bool {
    UnparsedPublicKey::new(&ED25519, key.0).verify(text.as_bytes(), &signature.0).is_ok()
}

/// Whether a signed text bears its key's signature. Whose key it is, only the reader can know.
#[must_use]
pub fn is_genuine(signed: &Signed) -> bool {
    verify(&signed.key, &signed.statement, &signed.signature)
}

fn random_seed() -> Result<[u8; 32], KeyError> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
    Ok(seed)
}

/// Writes a file that was not there, whole or not at all, and durably.
fn keep(path: &Path, content: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // tempfile makes files that only this user may read.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    // The new name has to be durable too. Windows cannot open folders and needs no such thing.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vector_of_rfc_8032_holds() {
        let seed: Hex<32> =
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".parse().unwrap();
        let key = SigningKey::from_seed(seed.0);
        assert_eq!(
            key.public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(
            key.sign("").to_string(),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b"
        );
    }

    #[test]
    fn a_signature_is_of_one_text_and_one_key() {
        let (key, other) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let signature = key.sign("a take");
        assert!(verify(&key.public(), "a take", &signature));
        assert!(!verify(&key.public(), "a fake", &signature));
        assert!(!verify(&other.public(), "a take", &signature));
        assert!(!verify(&key.public(), "a take", &Hex([0; 64])));
    }

    #[test]
    fn keys_that_anybody_can_sign_with_are_refused() {
        let weak = WEAK_KEYS.map(|key| key.parse::<Hex<32>>().unwrap());
        let signed = |mut key: Hex<32>| {
            key.0[31] |= 0x80;
            key
        };
        let points: Vec<Hex<32>> = weak.into_iter().chain(weak.map(signed)).collect();
        for key in weak {
            // A point of small order and zero make signatures that nobody's secret went into.
            let forged =
                points.iter().flat_map(|point| (0..64).map(move |text| (point, format!("text {text}"))));
            let mut forged = forged.filter_map(|(point, text)| {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&point.0);
                holds(&key, &text, &Hex(signature)).then_some((text, Hex(signature)))
            });
            let (text, signature) = forged.next().expect("the key is a weak one");
            assert!(!verify(&key, &text, &signature), "{key}");
        }
    }

    #[test]
    fn a_key_is_made_once_and_is_for_its_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below").join("device.key");
        let key = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(SigningKey::load_or_create(&path).unwrap().public(), key.public());
        assert!(!format!("{key:?}").contains(fs::read_to_string(&path).unwrap().trim_end()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        for content in [&b"not a key"[..], b"", b"\xff\xfe", &[b'a'; 63]] {
            fs::write(&path, content).unwrap();
            assert!(matches!(SigningKey::load_or_create(&path), Err(KeyError::NotAKey(_))));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }
}
