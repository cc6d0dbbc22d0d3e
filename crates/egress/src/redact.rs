//! Keeps a credential out of what goes back to the sandbox: a provider that quotes the key it was
//! given, in an error or an echo, would hand it over otherwise. The length stays the same.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};

/// What is looked for: one form of a credential.
#[derive(Clone)]
pub(crate) struct Needle {
    bytes: Arc<[u8]>,
    /// For each length of a match, the length of the next shorter one (Knuth, Morris and Pratt).
    shorter: Arc<[usize]>,
}

impl Needle {
    /// None for a text too short to be a secret: it would blank out ordinary words.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 8 {
            return None;
        }
        let mut shorter = vec![0; bytes.len() + 1];
        let mut matched = 0;
        for at in 1..bytes.len() {
            while matched > 0 && bytes[at] != bytes[matched] {
                matched = shorter[matched];
            }
            matched += usize::from(bytes[at] == bytes[matched]);
            shorter[at + 1] = matched;
        }
        Some(Self { bytes: bytes.into(), shorter: shorter.into() })
    }

    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        text.windows(self.bytes.len()).any(|window| window == &*self.bytes)
    }

    /// The length of the match that ends with this byte.
    fn step(&self, mut matched: usize, byte: u8) -> usize {
        while matched > 0 && self.bytes[matched] != byte {
            matched = self.shorter[matched];
        }
        matched + usize::from(self.bytes[matched] == byte)
    }
}

/// A body with every occurrence of a credential blanked out, also over the borders of its parts.
pub(crate) struct Redacted<B> {
    inner: B,
    needle: Option<Needle>,
    /// The end of the last part, if the credential may have begun there.
    held: BytesMut,
}

impl<B> Redacted<B> {
    pub(crate) fn new(inner: B, needle: Option<Needle>) -> Self {
        Self { inner, needle, held: BytesMut::new() }
    }

    /// What of the bytes so far can go.
    fn pass(&mut self, data: Bytes) -> Bytes {
        let Some(needle) = &self.needle else { return data };
        let mut bytes = std::mem::take(&mut self.held);
        // What was held is the beginning of the needle, so the match goes on from its length.
        let (mut matched, start) = (bytes.len(), bytes.len());
        bytes.extend_from_slice(&data);
        for at in start..bytes.len() {
            matched = needle.step(matched, bytes[at]);
            if matched == needle.bytes.len() {
                bytes[at + 1 - matched..=at].fill(b'*');
                matched = 0;
            }
        }
        self.held = bytes.split_off(bytes.len() - matched);
        bytes.freeze()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Redacted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    let data = self.pass(data);
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                // Trailers are not passed on.
                Some(Ok(Err(_))) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.held.is_empty() => return Poll::Ready(None),
                None => {
                    let held = std::mem::take(&mut self.held).freeze();
                    return Poll::Ready(Some(Ok(Frame::data(held))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "abababac";

    fn through(parts: &[&[u8]]) -> Vec<u8> {
        let frames: Vec<_> = parts
            .iter()
            .map(|part| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        let body = Redacted::new(StreamBody::new(stream::iter(frames)), Needle::new(KEY));
        let collected = futures::executor::block_on(body.collect());
        collected.expect("never fails").to_bytes().to_vec()
    }

    #[test]
    fn a_key_is_blanked_out_over_the_borders_of_parts() {
        assert_eq!(through(&[b"key abababac!"]), b"key ********!");
        assert_eq!(through(&[b"key aba", b"bab", b"ac!"]), b"key ********!");
        assert_eq!(
            through(&[b"ababababac", b"abababacabababac"]),
            b"ab****************".iter().copied().chain(*b"********").collect::<Vec<_>>()
        );
        assert_eq!(through(&[b"abababa"]), b"abababa", "what was held comes at the end");
        assert_eq!(through(&[b"abababa", b"d"]), b"abababad");
    }

    #[test]
    fn a_short_text_is_no_secret() {
        assert!(Needle::new("paddock").is_none());
    }

    proptest! {
        #[test]
        fn parts_change_nothing(text in "[abc]{0,60}", cuts in prop::collection::vec(0..60_usize, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            let expected = text.replace(KEY, "********");
            prop_assert_eq!(String::from_utf8(through(&parts)).unwrap(), expected);
        }
    }
}
