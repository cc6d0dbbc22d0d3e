//! Bodies on their way through: counted, bounded in how long they may stall, and tied to the record
//! of their request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::{
    answer::{BodyError, BoxError},
    decision::Record,
};

/// Which way a body goes.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Up,
    Down,
}

/// A body that counts into a record and fails when nothing comes for too long.
pub(crate) struct Metered<B> {
    inner: B,
    record: Record,
    way: Way,
    patience: Duration,
    stalled: Pin<Box<Sleep>>,
}

#[derive(Debug, thiserror::Error)]
#[error("nothing came for {0:?}")]
struct Stalled(Duration);

impl<B> Metered<B> {
    pub(crate) fn new(inner: B, record: Record, way: Way, patience: Duration) -> Self {
        let stalled = Box::pin(tokio::time::sleep(patience));
        Self { inner, record, way, patience, stalled }
    }
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            ready!(this.stalled.as_mut().poll(cx));
            return Poll::Ready(Some(Err(BodyError(Stalled(this.patience).into()))));
        };
        this.stalled.as_mut().reset(Instant::now() + this.patience);
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            match this.way {
                Way::Up => this.record.up(data.len()),
                Way::Down => this.record.down(data.len()),
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| BodyError(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body whose first part was read already.
pub(crate) struct Resumed<B> {
    head: Option<Bytes>,
    rest: B,
}

impl<B> Resumed<B> {
    pub(crate) fn new(head: Bytes, rest: B) -> Self {
        Self { head: Some(head).filter(|head| !head.is_empty()), rest }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Resumed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.head.take() {
            Some(head) => Poll::Ready(Some(Ok(Frame::data(head)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let head = self.head.as_ref().map_or(0, |head| head.len() as u64);
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + head);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + head);
        }
        hint
    }
}
