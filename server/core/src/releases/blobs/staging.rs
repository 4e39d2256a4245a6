//! Files on their way in: appended to, hashed on the way, synced before anything is acknowledged. Blocking; callers run it off the executor.

use aws_lc_rs::digest::{Context, SHA256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};
use wire::ids::{Digest, UploadId};

/// The folder of files on their way in.
#[derive(Debug, Clone)]
pub struct Staging(PathBuf);

/// One such file, positioned at its end.
pub struct Staged {
    file: File,
    digest: Context,
    length: u64,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Staged({} bytes)", self.length)
    }
}

impl Staging {
    /// Opens the folder; it is made when it isn't there.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Where an upload's bytes are. The id is ours, so the path stays in the folder whatever the upload is called.
    pub fn path(&self, upload: &UploadId) -> PathBuf {
        self.0.join(upload.as_str())
    }

    /// Where something else lies until it is whole, under a name that no upload has.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Removes an upload's bytes; it is no error when there are none.
    pub fn remove(&self, upload: &UploadId) -> io::Result<()> {
        match std::fs::remove_file(self.path(upload)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Uploads that have bytes here.
    pub fn list(&self) -> io::Result<Vec<UploadId>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                found.push(id);
            }
        }
        Ok(found)
    }
}

impl Staged {
    /// Opens the file at the acknowledged length: what came after it is cut off, what is there is hashed again. An error of kind
    /// `UnexpectedEof` when the file is shorter than what was acknowledged.
    pub fn open(path: &Path, length: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(length)?;
        if length == 0 {
            // So that the file's entry is there when its first bytes are acknowledged.
            if let Some(folder) = path.parent() {
                File::open(folder)?.sync_all()?;
            }
        }
        let mut digest = Context::new(&SHA256);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => digest.update(&buffer[..n]),
            }
        }
        Ok(Self { file, digest, length })
    }

    /// Bytes in it.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Appends all of it, or nothing.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(e) = self.file.write_all(bytes) {
            // Part of it may be there; the digest has not seen it.
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            return Err(e);
        }
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Returns when everything written is on the disk itself.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The digest of everything in it.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(&crate::hash::finished(self.digest.clone()))
    }
}
