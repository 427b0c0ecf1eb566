//! Packed files: read as if they were not. Places in them are places in what was packed.

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::job::plan::Compression;

/// Bytes of a file as they come.
pub type Bytes = Box<dyn Read + Send>;

/// How a file of this name is packed, if it is.
fn packing(name: &str, compression: Compression) -> Option<Packing> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some(Packing::Gzip),
        Compression::Zstd => Some(Packing::Zstd),
        Compression::ByName => {
            let end = Path::new(name).extension()?.to_str()?;
            match end.to_ascii_lowercase().as_str() {
                "gz" => Some(Packing::Gzip),
                "zst" => Some(Packing::Zstd),
                _ => None,
            }
        }
    }
}

enum Packing {
    Gzip,
    Zstd,
}

/// Whether a file of this name is packed, so that it can be read from its start only.
pub(super) fn is_packed(name: &str, compression: Compression) -> bool {
    packing(name, compression).is_some()
}

/// The content of a file of which `raw` are the bytes.
///
/// # Errors
/// If there cannot be a decoder.
pub fn unpacked(name: &str, compression: Compression, raw: Bytes) -> io::Result<Bytes> {
    Ok(match packing(name, compression) {
        None => raw,
        Some(packing) => Box::new(NotEmpty { raw: Some((raw, packing)), content: None }),
    })
}

/// Passes over the beginning of a content.
///
/// # Errors
/// If it is shorter.
pub(super) fn skip(content: &mut Bytes, bytes: u64) -> io::Result<()> {
    let passed = io::copy(&mut content.take(bytes), &mut io::sink())?;
    if passed == bytes {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::UnexpectedEof,
        format!(
            "it has {passed} bytes, unpacked, but the checkpoint stands at byte {bytes}: it is not \
             the file that was being read"
        ),
    ))
}

/// A packed file, which may also be one without any bytes, as left by whoever has not begun.
struct NotEmpty {
    raw: Option<(Bytes, Packing)>,
    content: Option<Bytes>,
}

impl Read for NotEmpty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((mut raw, packing)) = self.raw.take() {
            let mut first = Vec::with_capacity(1);
            raw.by_ref().take(1).read_to_end(&mut first)?;
            if !first.is_empty() {
                let whole = io::Cursor::new(first).chain(raw);
                self.content = Some(match packing {
                    Packing::Gzip => Box::new(MultiGzDecoder::new(whole)),
                    Packing::Zstd => Box::new(zstd::Decoder::new(whole)?),
                });
            }
        }
        self.content.as_mut().map_or(Ok(0), |content| content.read(buffer))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    fn read(name: &str, compression: Compression, packed: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut content = unpacked(name, compression, Box::new(io::Cursor::new(packed)))?;
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn reads_files_of_several_members_and_of_none() {
        let packers = [("a.gz", gzip as fn(&[u8]) -> Vec<u8>), ("a.csv.ZST", zstd)];
        for (name, pack) in packers {
            let by_name = |packed| read(name, Compression::ByName, packed).unwrap();
            assert_eq!(by_name(pack(b"one\ntwo")), b"one\ntwo");
            assert_eq!(
                by_name([pack(b"one\n"), pack(b""), pack(b"two\n")].concat()),
                b"one\ntwo\n"
            );
            assert_eq!(by_name(Vec::new()), b"");
            assert_eq!(by_name(pack(b"")), b"");
            assert_eq!(read(name, Compression::None, b"plain".to_vec()).unwrap(), b"plain");
        }
        assert_eq!(read("gz", Compression::Gzip, gzip(b"x")).unwrap(), b"x");
        assert_eq!(read("zst", Compression::Zstd, zstd(b"x")).unwrap(), b"x");
        assert_eq!(read("gz", Compression::ByName, b"x".to_vec()).unwrap(), b"x");
    }

    #[test]
    fn a_file_that_breaks_off_or_is_none_is_an_error() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for (name, packed) in [("a.gz", gzip(&text)), ("a.zst", zstd(&text))] {
            let by_name = |packed: &[u8]| read(name, Compression::ByName, packed.to_vec());
            assert_eq!(by_name(&packed).unwrap(), text);
            for length in [1, 10, packed.len() / 2, packed.len() - 1] {
                assert!(by_name(&packed[..length]).is_err(), "{name}, {length} bytes");
            }
            assert!(by_name(b"plain text").is_err());
        }
    }

    #[test]
    fn passes_over_what_was_read() {
        let content = || -> Bytes { Box::new(io::Cursor::new(b"abcdef")) };
        let (mut bytes, mut rest) = (content(), String::new());
        skip(&mut bytes, 4).unwrap();
        bytes.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "ef");
        assert!(skip(&mut content(), 7).unwrap_err().to_string().contains("6 bytes"));
    }
}
