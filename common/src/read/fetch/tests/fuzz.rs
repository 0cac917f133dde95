//! Fuzz test of objects with any bytes and any name: an object that a reference reader can read is
//! read, an object that the reference reader cannot read to its end is reported, and all bytes of an
//! object without a fault are read.

use std::io::Read;

use lakewright_fuzz::Target;

use super::*;
use crate::read::framing::value::is_space;

/// Names of the object. The first byte of an input chooses one, and the bytes after it are the
/// object.
const KEYS: [&str; 7] = ["a.json.gz", "a.json.zst", "a.json.bz2", "a.json", "a.zip", "a.json.snappy", "a.json.lz4"];

/// Returns the text that the libraries' readers of whole streams return; `None` for bytes that do
/// not start like a compressed stream.
fn reference(bytes: &[u8]) -> Option<std::io::Result<Vec<u8>>> {
    let mut reader: Box<dyn Read + '_> = match bytes {
        [0x1F, 0x8B, ..] => return Some(gzip_members(bytes)),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Box::new(zstd::stream::read::Decoder::new(bytes).ok()?),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => {
            Box::new(bzip2::read::MultiBzDecoder::new(bytes))
        }
        // The library's reader does not skip frames.
        [0x04, 0x22, 0x4D, 0x18, ..] if !bytes.windows(3).any(|part| part == [0x2A, 0x4D, 0x18]) => {
            return Some(lz4_frames(bytes));
        }
        _ => return None,
    };
    let mut text = Vec::new();
    Some(reader.read_to_end(&mut text).map(|_| text))
}

/// Returns the text of gzip members. Zeros after the last one are padding, as for gzip(1).
fn gzip_members(mut bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        flate2::bufread::GzDecoder::new(&mut bytes).read_to_end(&mut text)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(text);
        }
    }
}

/// Returns the text of lz4 frames. The library's reader takes a frame that was cut between two
/// blocks for a whole one, so another frame is appended, which it then takes for a block.
fn lz4_frames(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let after = compress("a.lz4", b"");
    let bytes = [bytes, &after].concat();
    let (mut rest, mut text) = (bytes.as_slice(), Vec::new());
    while rest.len() > after.len() {
        lz4_flex::frame::FrameDecoder::new(&mut rest).read_to_end(&mut text)?;
    }
    if rest.len() == after.len() { Ok(text) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

/// A zip archive of one member that is not compressed.
fn zip(text: &[u8]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let sum = crc32fast::hash(text).to_le_bytes();
    let size = number(text.len());
    let member = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], &sum[..], &size, &size, &[6, 0, 0, 0]].concat();
    let local = [b"PK\x03\x04", member.as_slice(), b"a.json", text].concat();
    let central = [b"PK\x01\x02\x14\0", member.as_slice(), &[0; 14], b"a.json"].concat();
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &number(central.len())[..], &number(local.len()), &[0, 0]].concat();
    [local, central, end].concat()
}

#[test]
fn any_bytes_of_an_object_are_read_as_others_read_them() {
    let text = lines(40);
    let mut seeds: Vec<Vec<u8>> = vec![];
    for (number, key) in (0_u8..).zip(&KEYS[..3]) {
        let twice = [compress(key, b"{}\n"), compress(key, &text)].concat();
        seeds.extend([compress(key, &text), twice].map(|bytes| [&[number], bytes.as_slice()].concat()));
    }
    let twice = [compress("a.lz4", b"{}\n"), compress("a.lz4", &text)].concat();
    seeds.extend([compress("a.lz4", &text), twice].map(|bytes| [&[6], bytes.as_slice()].concat()));
    let wide: Vec<u8> = "\u{FEFF}{\"n\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [zip(&text), wide, text, b"PAR1".to_vec(), b"\xFF\x06\0\0sNaPpY\x01\x06\0\0".to_vec()] {
        seeds.push([&[3], bytes.as_slice()].concat());
    }
    let words = &["BZh9", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "sNaPpY", "{\"n\":1}\n", "\0\0\0\0\0\0\0\0", "7zXZ"];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Target { name: "decompression", words, seeds }.run(|input| {
        let Some((number, bytes)) = input.split_first() else { return String::new() };
        let key = KEYS[usize::from(*number) % KEYS.len()];
        let store = Arc::new(InMemory::new());
        let stored = StoredBytes::default();
        let (found, fault) = runtime.block_on(async {
            let object = put(store.as_ref(), key, bytes.to_vec()).await;
            read(fetch(&over(store), &Split::whole(object), &Decoding::default(), &limits(), &stored)).await
        });
        assert!(fault.is_some() || stored.count() == bytes.len() as u64, "{key}: {} bytes read", stored.count());
        let reason = match &fault {
            Some(Fault::Broken { reason, .. }) => Some(*reason),
            _ => None,
        };
        // A bomb is refused, and so are bytes that start like JSON but may be binary: with a control
        // character among the first four bytes, or with bytes that are not UTF-8.
        let may_refuse = |text: &[u8]| match reason {
            Some(Reason::CompressionBomb) => true,
            Some(Reason::UnsupportedFormat) => {
                let first = &text[..text.len().min(4)];
                first.iter().any(|byte| byte.is_ascii_control() && !is_space(*byte))
                    || std::str::from_utf8(text).is_err()
            }
            _ => false,
        };
        match reference(bytes) {
            // Compressed or encoded content inside is decoded further.
            Some(Ok(text)) if text.first().is_some_and(|byte| matches!(byte, b'{' | b'[')) && !may_refuse(&text) => {
                assert!(fault.is_none(), "{key}: {fault:?}");
                assert!(found == text, "{key}: other bytes than another reader finds");
            }
            Some(Err(e)) => assert!(fault.is_some(), "{key}: accepted what another reader refuses: {e}"),
            _ => {}
        }
        match fault {
            None => format!("{key} {}", "x".repeat(found.len().checked_ilog2().unwrap_or(0) as usize)),
            Some(Fault::Broken { reason, detail }) => format!("{key} {reason} {detail}"),
            Some(Fault::Storage(error)) => format!("{key} {error}"),
        }
    });
}
