//! What the advertising thread tells the keeper. It never waits: what must not be lost is held
//! back in its slot while the queue is full, what may be lost is dropped.

use crate::linux::mailbox::Sender;
use crate::linux::messages::{EFFECTS_FOR_WISHES, EFFECTS_RESERVED, Effect, Slot, SlotId, Wish};
use crate::router::Announcement;

pub(super) struct Outlet {
    effects: Sender<Effect>,
    /// Whether a slot may hold something back.
    held: bool,
}

impl Outlet {
    pub(super) const fn new(effects: Sender<Effect>) -> Self {
        Self { effects, held: false }
    }

    /// Tells something that may be lost; whether it was told.
    pub(super) fn tell(&mut self, effect: Effect) -> bool {
        self.effects.push_reserving(effect, EFFECTS_RESERVED + EFFECTS_FOR_WISHES).is_ok()
    }

    /// Tells something that must not be lost; if it was not told, it is held back.
    fn insist(&mut self, effect: Effect) -> bool {
        let told = self.effects.push_reserving(effect, EFFECTS_RESERVED).is_ok();
        self.held |= !told;
        told
    }

    /// Gives what the keeper made back to it, to be freed there.
    pub(super) fn give_back(&mut self, effect: Effect) {
        // The keeper leaves room for this: see `EFFECTS_RESERVED`.
        if let Err(effect) = self.effects.push(effect) {
            debug_assert!(false, "no room to give back");
            std::mem::forget(effect);
        }
    }

    /// Says what should happen to the addresses: the newest wish counts.
    pub(super) fn wish(&mut self, id: SlotId, slot: &mut Slot, wish: Wish) {
        if slot.held.wish.is_some() || !self.insist(Effect::Wish(id, wish)) {
            slot.held.wish = Some(wish);
        }
        if wish == Wish::Withdraw {
            slot.held.announce = None;
        }
    }

    pub(super) fn announce(&mut self, id: SlotId, slot: &mut Slot, announcement: Announcement) {
        if !self.insist(Effect::Announce(id, announcement)) {
            slot.held.announce = Some(announcement);
        }
    }

    /// Tells the slot's state if it changed.
    pub(super) fn show(&mut self, id: SlotId, slot: &mut Slot) {
        let view = slot.view_now();
        if slot.view != Some(view) {
            let told = self.insist(Effect::View(id, view));
            slot.view = told.then_some(view);
        }
    }

    /// Tries again what was held back.
    pub(super) fn retry_held(&mut self, slots: &mut [Option<Box<Slot>>]) {
        if !self.held {
            return;
        }
        self.held = false;
        for (id, slot) in (0..).zip(slots) {
            let Some(slot) = slot.as_deref_mut() else {
                continue;
            };
            if let Some(wish) = slot.held.wish.take() {
                self.wish(id, slot, wish);
            }
            if let Some(announcement) = slot.held.announce.take() {
                self.announce(id, slot, announcement);
            }
            self.show(id, slot);
        }
    }

    /// Whether something is held back, for which the loop has to come again.
    pub(super) fn is_holding(&self) -> bool {
        self.held
    }

    /// Wakes the keeper if there is something new.
    pub(super) fn wake(&mut self) {
        self.effects.wake();
    }
}
