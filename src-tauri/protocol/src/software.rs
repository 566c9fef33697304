//! Packages of software: a `.tar.gz` with the program, a manifest that names it by its hash, and a signature of that.

use edgedeck_model::{
    Problem,
    software::{Manifest, NAME, PROGRAM_BYTES_MAX},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
const MANIFEST_MAX: u64 = 64 * 1024;
const SIGNATURE_BYTES: usize = 64;
/// Headers and padding of the archive itself.
const AROUND: u64 = 1024 * 1024;

/// A package that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("reading the package: {0}")]
    Read(#[source] io::Error),
    #[error("writing its program: {0}")]
    Write(#[source] io::Error),
    #[error("it holds {0:?}, which no package of software does")]
    Stranger(String),
    #[error("it holds no {0}")]
    Missing(&'static str),
    #[error("its {0} is too large")]
    TooLarge(&'static str),
    #[error("its manifest cannot be read: {0}")]
    Manifest(#[source] serde_json::Error),
    #[error("its manifest says what cannot be: {0}")]
    Says(Problem),
    #[error("its program is not the one that its manifest names")]
    OtherProgram,
}

/// What a package has turned out to hold.
#[derive(Debug)]
pub struct Opened {
    pub manifest: Manifest,
    /// As it stands in the package: what is signed.
    text: Vec<u8>,
    signature: Option<Vec<u8>>,
}

impl Opened {
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    pub fn is_signed_by(&self, public_key: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, public_key);
        let signature = self.signature.as_deref();
        signature.is_some_and(|signature| key.verify(&self.text, signature).is_ok())
    }
}

/// Reads a package from anywhere, its program to `program`.
///
/// # Errors
/// [`PackageError`]; what was written until then is worth nothing.
pub fn open(packed: impl Read, program: &mut impl Write) -> Result<Opened, PackageError> {
    let mut archive = tar::Archive::new(GzDecoder::new(packed).take(PROGRAM_BYTES_MAX + AROUND));
    let (mut text, mut signature, mut hash) = (None, None, None);
    // Raw: what other archives put before an entry, of any length, is a stranger here.
    for entry in archive.entries().map_err(PackageError::Read)?.raw(true) {
        let mut entry = entry.map_err(PackageError::Read)?;
        let path = entry.path().map_err(PackageError::Read)?.into_owned();
        let name = path.strip_prefix(".").unwrap_or(&path).to_string_lossy().into_owned();
        let stranger = || PackageError::Stranger(edgedeck_model::name::tame(&name, 100));
        if !entry.header().entry_type().is_file() {
            return Err(stranger());
        }
        match name.as_str() {
            MANIFEST if text.is_none() => text = Some(small(entry, MANIFEST)?),
            SIGNATURE if signature.is_none() => signature = Some(small(entry, SIGNATURE)?),
            NAME if hash.is_none() => hash = Some(copy(&mut entry, program)?),
            _ => return Err(stranger()),
        }
    }
    let text = text.ok_or(PackageError::Missing(MANIFEST))?;
    let hash = hash.ok_or(PackageError::Missing(NAME))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(PackageError::Manifest)?;
    manifest.check().map_err(PackageError::Says)?;
    if manifest.sha256 != hash {
        return Err(PackageError::OtherProgram);
    }
    let signature = signature.filter(|signature| signature.len() == SIGNATURE_BYTES);
    Ok(Opened {
        manifest,
        text,
        signature,
    })
}

fn small(entry: impl Read, name: &'static str) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::new();
    entry
        .take(MANIFEST_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(PackageError::Read)?;
    if bytes.len() as u64 > MANIFEST_MAX {
        return Err(PackageError::TooLarge(name));
    }
    Ok(bytes)
}

/// SHA-256 of a program, in hex.
///
/// # Errors
/// Those of reading.
pub fn hash(mut program: impl Read) -> io::Result<String> {
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match program.read(&mut chunk)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&chunk[..read]),
        }
    }
}

/// Copies a program; its SHA-256.
fn copy(entry: &mut impl Read, program: &mut impl Write) -> Result<String, PackageError> {
    let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0_u64, vec![0; 64 * 1024]);
    loop {
        let read = entry.read(&mut chunk).map_err(PackageError::Read)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        bytes += read as u64;
        if bytes > PROGRAM_BYTES_MAX {
            return Err(PackageError::TooLarge("program"));
        }
        hash.update(&chunk[..read]);
        program.write_all(&chunk[..read]).map_err(PackageError::Write)?;
    }
}

/// Writes a package of a program of `bytes` bytes; `sign` makes the signature of its manifest, if there is to be one.
///
/// # Errors
/// Those of reading and writing.
pub fn pack(
    manifest: &Manifest,
    program: impl Read,
    bytes: u64,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    out: impl Write,
) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(manifest)?;
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::fast()));
    let mut add = |name: &str, mode: u32, bytes: u64, content: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes);
        header.set_mode(mode);
        archive.append_data(&mut header, name, content)
    };
    add(MANIFEST, 0o644, text.len() as u64, &mut text.as_slice())?;
    if let Some(signature) = sign(&text) {
        add(SIGNATURE, 0o644, signature.len() as u64, &mut signature.as_slice())?;
    }
    add(NAME, 0o755, bytes, &mut program.take(bytes))?;
    archive.into_inner()?.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ring::{
        rand::SystemRandom,
        signature::{Ed25519KeyPair, KeyPair},
    };

    fn key() -> Ed25519KeyPair {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap()
    }

    fn manifest(program: &[u8]) -> Manifest {
        Manifest {
            name: NAME.to_owned(),
            version: "1.2.3".to_owned(),
            arch: "aarch64".to_owned(),
            sha256: hex::encode(Sha256::digest(program)),
        }
    }

    fn packed(program: &[u8], key: Option<&Ed25519KeyPair>) -> Vec<u8> {
        let mut out = Vec::new();
        let sign = |text: &[u8]| key.map(|key| key.sign(text).as_ref().to_vec());
        pack(&manifest(program), program, program.len() as u64, sign, &mut out).unwrap();
        out
    }

    /// A `.tar.gz` with these files.
    fn archive(files: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, content) in files {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            header.set_cksum();
            archive.append(&header, *content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn what_is_packed_comes_out_and_knows_its_signer() {
        let (mine, other) = (key(), key());
        let mut program = Vec::new();
        let opened = open(packed(b"program", Some(&mine)).as_slice(), &mut program).unwrap();
        assert_eq!(
            (opened.manifest.clone(), program.as_slice()),
            (manifest(b"program"), &b"program"[..])
        );
        assert!(opened.is_signed_by(mine.public_key().as_ref()) && !opened.is_signed_by(other.public_key().as_ref()));
        let unsigned = open(packed(b"program", None).as_slice(), &mut Vec::new()).unwrap();
        assert!(!unsigned.is_signed() && !unsigned.is_signed_by(mine.public_key().as_ref()));
    }

    #[test]
    fn nothing_else_may_be_in_a_package() {
        use tar::EntryType;
        let text = serde_json::to_vec(&manifest(b"x")).unwrap();
        let good = (MANIFEST, EntryType::Regular, text.as_slice());
        let program = (NAME, EntryType::Regular, &b"x"[..]);
        open(archive(&[program, good]).as_slice(), &mut Vec::new()).unwrap();
        let bad: &[&[(&str, EntryType, &[u8])]] = &[
            &[],
            &[good],
            &[program],
            &[good, good, program],
            &[good, program, program],
            &[good, (NAME, EntryType::Regular, b"y")],
            &[good, program, ("../x", EntryType::Regular, b"")],
            &[good, program, ("/etc/passwd", EntryType::Regular, b"")],
            &[good, program, ("folder", EntryType::Directory, b"")],
            &[good, (NAME, EntryType::Symlink, b"")],
            &[good, (NAME, EntryType::Char, b"")],
            &[(MANIFEST, EntryType::Regular, b"{}"), program],
            &[(MANIFEST, EntryType::Regular, b"[[[[[["), program],
        ];
        for files in bad {
            assert!(open(archive(files).as_slice(), &mut Vec::new()).is_err(), "{files:?}");
        }
    }

    #[test]
    fn a_billion_zeros_fill_no_disk() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut header = tar::Header::new_ustar();
        header.set_path(NAME).unwrap();
        header.set_size(2_000_000_000);
        header.set_cksum();
        gzip.write_all(header.as_bytes()).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..300 {
            gzip.write_all(&zeros).unwrap();
        }
        struct Counts(u64);
        impl Write for Counts {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += bytes.len() as u64;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut written = Counts(0);
        assert!(open(gzip.finish().unwrap().as_slice(), &mut written).is_err());
        assert!(written.0 <= PROGRAM_BYTES_MAX + AROUND, "{}", written.0);
    }

    proptest! {
        #[test]
        fn what_comes_from_outside_breaks_nothing(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
            static KEY: std::sync::LazyLock<(Ed25519KeyPair, Vec<u8>)> = std::sync::LazyLock::new(|| {
                let key = key();
                let package = packed(b"program", Some(&key));
                (key, package)
            });
            let (key, package) = &*KEY;
            let mut changed = package.clone();
            let at = at % changed.len();
            changed[at] = byte;
            changed.truncate(changed.len() - cut.min(changed.len()) % 60);
            if let Ok(opened) = open(changed.as_slice(), &mut Vec::new()) {
                // Whatever passes for the lab's is what the lab has signed.
                prop_assert!(!opened.is_signed_by(key.public_key().as_ref()) || opened.manifest == manifest(b"program"));
            }
        }
    }
}
