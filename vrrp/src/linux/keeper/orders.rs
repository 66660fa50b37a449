//! The way to the advertising thread, and what came back while an order was under way.

use std::collections::VecDeque;

use crate::linux::mailbox::{Receiver, Sender};
use crate::linux::messages::{Effect, ORDERS, Order};

pub(super) struct Orders {
    orders: Sender<Order>,
    effects: Receiver<Effect>,
    collected: VecDeque<Effect>,
    /// Orders sent since the effects were last taken out: see `EFFECTS_RESERVED`.
    since_collection: usize,
}

impl Orders {
    pub(super) const fn new(orders: Sender<Order>, effects: Receiver<Effect>) -> Self {
        Self { orders, effects, collected: VecDeque::new(), since_collection: 0 }
    }

    pub(super) fn send(&mut self, mut order: Order) {
        if self.since_collection >= ORDERS {
            self.collect();
        }
        while let Err(refused) = self.orders.push(order) {
            // Full: the advertising thread empties it as soon as it is woken.
            self.orders.wake();
            self.collect();
            std::thread::yield_now();
            order = refused;
        }
        self.since_collection += 1;
        self.orders.wake();
    }

    /// Clears the wake-up; to be called before the effects are taken.
    pub(super) fn clear_wake(&self) {
        self.effects.clear_wake();
    }

    /// The next effect.
    pub(super) fn next(&mut self) -> Option<Effect> {
        if self.collected.is_empty() {
            self.collect();
        }
        self.collected.pop_front()
    }

    /// Takes the effects out of the queue, so that there is room for more.
    fn collect(&mut self) {
        while let Some(effect) = self.effects.pop() {
            self.collected.push_back(effect);
        }
        self.since_collection = 0;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::linux::mailbox::mailbox;
    use crate::linux::messages::EFFECTS;

    /// What `EFFECTS_RESERVED` counts on.
    #[test]
    fn no_more_than_a_queue_of_orders_is_sent_before_the_effects_are_taken_out() {
        let (orders, mut taken) = mailbox(2 * ORDERS).unwrap();
        let (mut given_back, effects) = mailbox(EFFECTS).unwrap();
        let mut orders = Orders::new(orders, effects);
        given_back.push(Effect::Pong(1)).unwrap();
        (0..ORDERS).for_each(|_| orders.send(Order::Ping(1)));
        assert_eq!((orders.collected.len(), orders.since_collection), (0, ORDERS));
        orders.send(Order::Ping(1));
        assert_eq!((orders.collected.len(), orders.since_collection), (1, 1));
        assert_eq!(std::iter::from_fn(|| taken.pop()).count(), ORDERS + 1);
    }
}
