//! The input side of an operator's partition: takes items from its channels in turn and makes one
//! time of their watermarks, the minimum of those that are not idle.

use std::collections::VecDeque;

use super::{Barrier, Item, Receiver};
use crate::model::{Batch, TIME_END, TIME_NONE};

/// One channel into a partition.
#[derive(Debug)]
pub struct InputChannel {
    receiver: Receiver,
    /// Index of the function's declared input.
    input: u32,
    watermark: i64,
    idle: bool,
    ended: bool,
    /// Barriers that have come through.
    barriers: u64,
}

impl InputChannel {
    /// A channel whose items belong to declared input `input`.
    pub fn new(receiver: Receiver, input: u32) -> Self {
        Self { receiver, input, watermark: TIME_NONE, idle: false, ended: false, barriers: 0 }
    }
}

/// All channels into a partition.
#[derive(Debug)]
pub struct Inputs {
    channels: Vec<InputChannel>,
    next: usize,
    /// The minimum so far. Never falls, also when an idle channel comes back with an older
    /// watermark.
    watermark: i64,
    /// Whether a channel through which a barrier has come waits for the others: without that, what
    /// comes after a barrier may be part of its checkpoint, and be processed twice after a restore.
    aligned: bool,
    /// Barriers that have come through all channels.
    barriers: u64,
    /// Those that have come through some, in order.
    arriving: VecDeque<Barrier>,
}

/// What came in.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Records of one declared input, with the partition's watermarks instead of their channel's.
    Batch(u32, Box<Batch>),
    /// The partition's watermark has risen.
    Watermark(i64),
    /// A barrier has come through all channels.
    Barrier(Barrier),
    /// All channels are idle.
    Idle,
    /// All channels have ended.
    End,
    /// Something came that changes nothing here.
    Nothing,
}

impl Inputs {
    /// Inputs from these channels, going on from a watermark. `aligned` = exactly once; otherwise
    /// at least once.
    pub fn new(channels: Vec<InputChannel>, watermark: i64, aligned: bool) -> Self {
        let arriving = VecDeque::new();
        Self { channels, next: 0, watermark, aligned, barriers: 0, arriving }
    }

    /// The next item of some channel, if one waits. Channels take turns.
    pub(super) fn try_next(&mut self) -> Option<Incoming> {
        for turn in 0..self.channels.len() {
            let index = (self.next + turn) % self.channels.len();
            if self.aligned && self.channels[index].barriers > self.barriers {
                continue;
            }
            if let Some(item) = self.channels[index].receiver.try_receive() {
                self.next = index + 1;
                return Some(self.take(index, item));
            }
        }
        None
    }

    fn take(&mut self, index: usize, item: Item) -> Incoming {
        let channel = &mut self.channels[index];
        match item {
            Item::Batch(mut batch) => {
                channel.idle = false;
                let others = self.minimum_without(Some(index)).unwrap_or(TIME_END);
                for watermark in &mut batch.watermarks {
                    self.watermark = self.watermark.max(others.min(*watermark));
                    self.channels[index].watermark = *watermark;
                    *watermark = self.watermark;
                }
                Incoming::Batch(self.channels[index].input, batch)
            }
            Item::Watermark(watermark) => {
                channel.idle = false;
                channel.watermark = channel.watermark.max(watermark);
                self.rise()
            }
            Item::Idle => {
                channel.idle = true;
                if self.channels.iter().all(|channel| channel.idle || channel.ended) {
                    Incoming::Idle
                } else {
                    self.rise()
                }
            }
            Item::Barrier(barrier) => {
                channel.barriers += 1;
                if channel.barriers > self.barriers + self.arriving.len() as u64 {
                    self.arriving.push_back(barrier);
                }
                let least = self.channels.iter().map(|channel| channel.barriers).min();
                if least.is_none_or(|least| least == self.barriers) {
                    return Incoming::Nothing;
                }
                self.barriers += 1;
                let barrier = self.arriving.pop_front().expect("it came through every channel");
                Incoming::Barrier(barrier)
            }
            Item::End => {
                channel.ended = true;
                let all_ended = self.channels.iter().all(|channel| channel.ended);
                if all_ended { Incoming::End } else { Incoming::Nothing }
            }
        }
    }

    fn rise(&mut self) -> Incoming {
        let Some(minimum) = self.minimum_without(None) else { return Incoming::Nothing };
        if minimum <= self.watermark {
            return Incoming::Nothing;
        }
        self.watermark = minimum;
        Incoming::Watermark(minimum)
    }

    /// The least watermark of all channels but one. A channel that ended by itself said `TIME_END`
    /// before; one that was stopped holds on to its last, so that time does not run ahead.
    ///
    /// Channels of one input come from one node, and time passes for them together: an input is
    /// left out only when all its channels are idle, since one that has just come back has records
    /// under way through its siblings too.
    fn minimum_without(&self, left_out: Option<usize>) -> Option<i64> {
        let is_idle = |input: u32| {
            let mut channels = self.channels.iter().filter(|channel| channel.input == input);
            channels.all(|channel| channel.idle && !channel.ended)
        };
        let channels = self.channels.iter().enumerate();
        let others = channels.filter(|(index, _)| Some(*index) != left_out);
        others
            .map(|(_, channel)| channel)
            .filter(|channel| !is_idle(channel.input))
            .map(|channel| channel.watermark)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Sender, Waker, channel};

    fn inputs(count: usize) -> (Vec<Sender>, Inputs) {
        let waker = Waker::default();
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| channel(&waker, &waker)).unzip();
        let channels =
            (0..).zip(receivers).map(|(input, receiver)| InputChannel::new(receiver, input));
        (senders, Inputs::new(channels.collect(), TIME_NONE, true))
    }

    fn send(sender: &Sender, item: Item) {
        assert!(sender.try_send(item).is_ok());
    }

    fn batch(watermarks: &[i64]) -> Item {
        let mut batch = Batch { watermarks: watermarks.to_vec(), ..Batch::default() };
        watermarks.iter().for_each(|_| batch.values.push(b"x"));
        Item::Batch(Box::new(batch))
    }

    fn drain(inputs: &mut Inputs) -> Vec<String> {
        std::iter::from_fn(|| inputs.try_next())
            .map(|incoming| match incoming {
                Incoming::Batch(_, batch) => format!("{:?}", batch.watermarks),
                Incoming::Watermark(watermark) => format!("{watermark}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn time_is_the_minimum_of_all_channels() {
        let (senders, mut inputs) = inputs(2);
        send(&senders[0], batch(&[TIME_NONE, 5]));
        send(&senders[0], Item::Watermark(9));
        assert_eq!(drain(&mut inputs), [format!("[{TIME_NONE}, {TIME_NONE}]"), "Nothing".into()]);
        send(&senders[1], batch(&[TIME_NONE, 3, 7, 20]));
        assert_eq!(drain(&mut inputs), [format!("[{TIME_NONE}, 3, 7, 9]")]);
        send(&senders[1], Item::Watermark(30));
        send(&senders[0], Item::Watermark(25));
        assert_eq!(drain(&mut inputs).last().map(String::as_str), Some("25"));
    }

    #[test]
    fn an_idle_channel_holds_nobody_back_and_never_turns_time_back() {
        let (senders, mut inputs) = inputs(2);
        send(&senders[0], Item::Watermark(9));
        assert_eq!(drain(&mut inputs), ["Nothing"]);
        send(&senders[1], Item::Idle);
        assert_eq!(drain(&mut inputs), ["9"]);
        send(&senders[1], batch(&[2, 4]));
        assert_eq!(drain(&mut inputs), ["[9, 9]"]);
        send(&senders[0], Item::Idle);
        send(&senders[1], Item::Idle);
        assert_eq!(drain(&mut inputs), ["Nothing", "Idle"]);
    }

    #[test]
    fn a_channel_that_comes_back_waits_for_its_siblings() {
        let (senders, mut inputs) = inputs(2);
        inputs.channels[1].input = 0;
        for sender in &senders {
            send(sender, Item::Watermark(9));
            send(sender, Item::Idle);
        }
        assert_eq!(drain(&mut inputs).last().map(String::as_str), Some("Idle"));
        send(&senders[0], Item::Watermark(TIME_END));
        assert_eq!(drain(&mut inputs), ["Nothing"]);
        send(&senders[1], batch(&[9, 20]));
        assert_eq!(drain(&mut inputs), ["[9, 20]"]);
    }

    #[test]
    fn a_stopped_channel_does_not_end_time_for_the_others() {
        let (senders, mut inputs) = inputs(2);
        send(&senders[0], Item::Watermark(9));
        send(&senders[0], Item::End);
        send(&senders[1], Item::Watermark(20));
        assert_eq!(drain(&mut inputs), ["Nothing", "9", "Nothing"]);
        send(&senders[1], Item::End);
        assert_eq!(drain(&mut inputs), ["End"]);
    }

    fn barrier(id: u64) -> Item {
        Item::Barrier(Barrier { id, target: None, swap: None })
    }

    fn barriers(inputs: &mut Inputs) -> Vec<String> {
        let show = |incoming| match incoming {
            Incoming::Barrier(barrier) => Some(format!("barrier {}", barrier.id)),
            Incoming::Batch(_, batch) => Some(format!("{} records", batch.len())),
            _ => None,
        };
        std::iter::from_fn(|| inputs.try_next()).filter_map(show).collect()
    }

    #[test]
    fn a_channel_with_a_barrier_waits_for_the_others() {
        let (senders, mut inputs) = inputs(2);
        send(&senders[0], barrier(1));
        send(&senders[0], batch(&[5]));
        send(&senders[0], barrier(2));
        send(&senders[1], batch(&[5, 6]));
        assert_eq!(barriers(&mut inputs), ["2 records"]);
        send(&senders[1], barrier(1));
        assert_eq!(barriers(&mut inputs), ["barrier 1", "1 records"]);
        send(&senders[1], batch(&[7, 8, 9]));
        send(&senders[1], barrier(2));
        assert_eq!(barriers(&mut inputs), ["3 records", "barrier 2"]);
    }

    #[test]
    fn at_least_once_waits_for_nobody_and_takes_barriers_in_order() {
        let (senders, mut inputs) = inputs(2);
        inputs.aligned = false;
        for id in 1..=2 {
            send(&senders[0], barrier(id));
            send(&senders[0], batch(&[5]));
        }
        assert_eq!(barriers(&mut inputs), ["1 records", "1 records"]);
        send(&senders[1], barrier(1));
        send(&senders[1], barrier(2));
        assert_eq!(barriers(&mut inputs), ["barrier 1", "barrier 2"]);
    }
}
