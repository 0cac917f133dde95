//! Decompresses one stream of bytes with any of the supported compressions: step ② of reading an
//! object.

use std::io;

use bzip2::{Decompress as Bzip2, Status as Bzip2Status};
use zstd::stream::raw::{Decoder as Zstd, InBuffer, Operation, OutBuffer};

use crate::read::decompress::gzip::Gzip;
use crate::read::decompress::hadoop::{Hadoop, Method};
use crate::read::decompress::lz4::Lz4;
use crate::read::decompress::parts::PartReader;
use crate::read::decompress::snappy::Snappy;
use crate::read::decompress::step::{Progress, Step};
use crate::read::decompress::xz::Xz;
use crate::read::decompress::zip::Zip;
use crate::storage::object::Compression;

/// Decompresses one text, which consists of one or several members: compressed files that were
/// concatenated.
pub(in crate::read) struct Decompressor {
    codec: Codec,
    /// Whether the next byte is the first byte of a member, so that the input may end before it.
    is_between_members: bool,
}

enum Codec {
    Gzip(Gzip),
    Zstd(Zstd<'static>),
    Bzip2(Bzip2),
    Xz(Xz),
    /// Snappy or lz4.
    Parts(PartReader),
    Zip(Zip),
}

impl Decompressor {
    /// Returns a decompressor; `None` if `compression` is [`Compression::None`].
    ///
    /// # Errors
    /// There is not enough memory.
    pub(in crate::read) fn new(compression: Compression) -> io::Result<Option<Self>> {
        let codec = match compression {
            Compression::None => return Ok(None),
            Compression::Gzip => Codec::Gzip(Gzip::default()),
            Compression::Zstd => Codec::Zstd(Zstd::new()?),
            Compression::Bzip2 => Codec::Bzip2(Bzip2::new(false)),
            Compression::Xz => Codec::Xz(Xz::new()?),
            Compression::Lz4 => Codec::Parts(Lz4::reader()),
            Compression::HadoopLz4 => Codec::Parts(Hadoop::reader(Method::Lz4)),
            Compression::Snappy => Codec::Parts(Snappy::reader()),
            Compression::HadoopSnappy => Codec::Parts(Hadoop::reader(Method::Snappy)),
            Compression::Zip => Codec::Zip(Zip::default()),
        };
        Ok(Some(Self { codec, is_between_members: true }))
    }

    /// Decompresses bytes of `input` into `output`, but not necessarily until one of them is used
    /// up. A step that neither consumes nor produces bytes needs more input.
    pub(in crate::read) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let step = match &mut self.codec {
            Codec::Gzip(gzip) => gzip.step(input, output),
            Codec::Zstd(zstd) => step_zstd(zstd, input, output),
            Codec::Bzip2(bzip2) => step_bzip2(bzip2, input, output),
            Codec::Xz(xz) => xz.step(input, output),
            Codec::Parts(parts) => parts.step(input, output),
            Codec::Zip(zip) => zip.step(input, output),
        };
        match &step.result {
            Ok(Progress::EndOfMember) => self.is_between_members = true,
            // Any other consumed byte is inside a member.
            _ if step.consumed > 0 => self.is_between_members = false,
            _ => {}
        }
        step
    }

    /// Whether the input may end here, because no member is incomplete.
    pub(in crate::read) fn is_complete(&self) -> bool {
        match &self.codec {
            Codec::Parts(parts) => parts.is_complete(),
            Codec::Zip(zip) => zip.is_complete(),
            _ => self.is_between_members,
        }
    }
}

fn step_zstd(zstd: &mut Zstd<'static>, input: &[u8], output: &mut [u8]) -> Step {
    let mut input = InBuffer::around(input);
    let mut output = OutBuffer::around(output);
    let hint = zstd.run(&mut input, &mut output);
    let result = hint.map(|hint| if hint == 0 { Progress::EndOfMember } else { Progress::Inside });
    Step { consumed: input.pos(), produced: output.pos(), result }
}

fn step_bzip2(bzip2: &mut Bzip2, input: &[u8], output: &mut [u8]) -> Step {
    let (consumed, produced) = (bzip2.total_in(), bzip2.total_out());
    let status = bzip2.decompress(input, output);
    // Both counts are at most the lengths of the slices.
    let consumed = usize::try_from(bzip2.total_in() - consumed).unwrap_or(usize::MAX);
    let produced = usize::try_from(bzip2.total_out() - produced).unwrap_or(usize::MAX);
    let result = match status {
        Ok(Bzip2Status::StreamEnd) => {
            // The library's decoder handles only one stream, so create one per stream.
            *bzip2 = Bzip2::new(false);
            Ok(Progress::EndOfMember)
        }
        Ok(Bzip2Status::MemNeeded) => Err(io::ErrorKind::OutOfMemory.into()),
        Ok(_) => Ok(Progress::Inside),
        Err(e) => Err(e.into()),
    };
    Step { consumed, produced, result }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::{Compression as Level, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    /// Calls `step` with `at_once` bytes of input and `room` bytes of output at a time. Returns the
    /// output, and the first error.
    pub(in crate::read::decompress) fn step_through(
        mut step: impl FnMut(&[u8], &mut [u8]) -> Step,
        bytes: &[u8],
        at_once: usize,
        room: usize,
    ) -> (Vec<u8>, io::Result<()>) {
        let (mut text, mut output) = (Vec::new(), vec![0; room]);
        for mut input in bytes.chunks(at_once) {
            loop {
                let Step { consumed, produced, result } = step(input, &mut output);
                input = &input[consumed..];
                text.extend_from_slice(&output[..produced]);
                if let Err(e) = result {
                    return (text, Err(e));
                }
                if consumed == 0 && produced == 0 {
                    assert!(input.is_empty(), "stuck before {} bytes", input.len());
                    break;
                }
            }
        }
        (text, Ok(()))
    }

    fn run(compression: Compression, bytes: &[u8], at_once: usize, room: usize) -> (Vec<u8>, io::Result<bool>) {
        let mut decompressor = Decompressor::new(compression).unwrap().unwrap();
        let (text, result) = step_through(|input, output| decompressor.step(input, output), bytes, at_once, room);
        (text, result.map(|()| decompressor.is_complete()))
    }

    fn gzip(text: &[u8], builder: GzBuilder) -> Vec<u8> {
        let mut encoder = builder.write(Vec::new(), Level::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(text: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_part_of_a_gzip_header_is_passed_over() {
        let plain = gzip(b"text", GzBuilder::new());
        let full = GzBuilder::new().filename("a.json").comment("by hand").extra(vec![1, 2, 3]).mtime(7);
        let empty_extra = GzBuilder::new().extra(vec![]);
        // `flate2` writes no header checksum, so add one.
        let mut summed = plain.clone();
        summed[3] = 1 << 1;
        summed.splice(10..10, [0xAB, 0xCD]);
        for bytes in [plain.clone(), gzip(b"text", full), gzip(b"text", empty_extra), summed] {
            for at_once in [1, 1000] {
                let (text, result) = run(Compression::Gzip, &bytes, at_once, 3);
                assert_eq!((text.as_slice(), result.unwrap()), (b"text".as_slice(), true));
            }
        }
        for (at, byte) in [(0, 0), (1, 0), (2, 7), (3, 0x80)] {
            let mut damaged = plain.clone();
            damaged[at] = byte;
            assert!(run(Compression::Gzip, &damaged, 100, 100).1.is_err(), "byte {at}");
        }
    }

    #[test]
    fn zeros_after_a_gzip_member_are_padding_and_nothing_else_is() {
        let member = gzip(b"text", GzBuilder::new());
        for at_once in [1, 7, 1000] {
            let (text, result) = run(Compression::Gzip, &[member.as_slice(), &[0; 20]].concat(), at_once, 9);
            assert_eq!((text.as_slice(), result.unwrap()), (b"text".as_slice(), true));
            for junk in [b"\0\0junk".as_slice(), b"junk"] {
                assert!(run(Compression::Gzip, &[member.as_slice(), junk].concat(), at_once, 9).1.is_err());
            }
        }
        assert!(run(Compression::Gzip, &[0; 20], 5, 9).1.is_err(), "zeros alone are no gzip");
    }

    /// `xz -t` has the same rule.
    #[test]
    fn a_multiple_of_four_zeros_after_an_xz_stream_is_padding_and_nothing_else_is() {
        let stream = xz(b"text");
        for at_once in [1, 3, 1000] {
            for padding in 0..13 {
                let zeros = vec![0; padding];
                let (text, result) = run(Compression::Xz, &[&stream[..], &zeros].concat(), at_once, 9);
                assert_eq!((text.as_slice(), result.unwrap()), (b"text".as_slice(), padding % 4 == 0), "{padding}");
                let (text, result) = run(Compression::Xz, &[&stream[..], &zeros, &stream].concat(), at_once, 9);
                match result {
                    Ok(is_complete) => assert_eq!((text.as_slice(), is_complete), (b"texttext".as_slice(), true)),
                    Err(_) => assert_eq!(text, b"text"),
                }
                assert_eq!(text.len() == 8, padding % 4 == 0, "{padding}");
            }
            assert!(
                run(Compression::Xz, &[&stream[..], b"\0\0\0\0junk that is no header"].concat(), at_once, 9).1.is_err()
            );
        }
        assert!(!matches!(run(Compression::Xz, &[0; 8], 5, 9).1, Ok(true)), "zeros alone are not xz");
    }

    proptest! {
        #[test]
        fn any_steps_give_the_text(
            text in prop::collection::vec(any::<u8>(), 0..300),
            at_once in 1_usize..50,
            room in 1_usize..50,
            members in 1_usize..4,
        ) {
            for (compression, member) in [
                (Compression::Gzip, gzip(&text, GzBuilder::new())),
                (Compression::Zstd, zstd::encode_all(text.as_slice(), 1).unwrap()),
                (Compression::Bzip2, bzip2(&text)),
                (Compression::Xz, xz(&text)),
                (Compression::Lz4, lz4(&text)),
            ] {
                let (found, result) = run(compression, &member.repeat(members), at_once, room);
                prop_assert_eq!(found, text.repeat(members));
                prop_assert!(result.unwrap());
                // A member that is cut anywhere is incomplete, and the output before the cut is
                // correct.
                let cut = at_once.min(member.len() - 1);
                let (found, result) = run(compression, &member[..cut], 7, room);
                prop_assert!(text.starts_with(&found));
                prop_assert!(!result.unwrap());
            }
        }
    }
}
