use std::{future::Future, pin::Pin, task::Poll};

use futures_util::{FutureExt, future::BoxFuture, poll};

use super::*;

fn slots(maxima: &[usize], max_waiting: usize) -> Arc<Slots> {
    let slots = Slots::new(maxima.len(), max_waiting);
    for (backend, max) in maxima.iter().enumerate() {
        slots.set(backend, Some(*max));
    }
    slots
}

fn now(slots: &Arc<Slots>, class: Class, wish: Wish) -> Option<Slot> {
    slots.take(class, wish).now_or_never()?.ok()
}

/// A place in the queue.
async fn wait(slots: &Arc<Slots>, class: Class) -> BoxFuture<'static, Result<Slot, Refused>> {
    let slots = Arc::clone(slots);
    let mut waiting: Pin<Box<dyn Future<Output = _> + Send>> =
        Box::pin(async move { slots.take(class, Wish::Any).await });
    assert!(poll!(&mut waiting).is_pending());
    waiting
}

#[tokio::test]
async fn the_least_loaded_backend_is_chosen_and_none_beyond_its_slots() {
    let slots = slots(&[2, 1], 0);
    let taken: Vec<_> = (0..3).map(|_| now(&slots, Class::Small, Wish::Any).unwrap()).collect();
    assert_eq!(taken.iter().map(Slot::backend).collect::<Vec<_>>(), [0, 1, 0]);
    assert!(now(&slots, Class::Small, Wish::Any).is_none());
}

#[tokio::test]
async fn waiting_is_in_order_and_bounded_and_can_be_left() {
    let slots = slots(&[1], 3);
    let first = now(&slots, Class::Small, Wish::Any).unwrap();
    let mut waiting = vec![];
    for _ in 0..3 {
        waiting.push(wait(&slots, Class::Small).await);
    }
    assert_eq!(slots.take(Class::Small, Wish::Any).await.unwrap_err(), Refused::QueueFull);
    drop(waiting.remove(0));
    assert_eq!(slots.waiting(Class::Small), 2);
    drop(first);
    let slot = waiting.remove(0).now_or_never().expect("the next in line").unwrap();
    assert!(poll!(&mut waiting[0]).is_pending());
    drop(slot);
    assert!(matches!(poll!(&mut waiting[0]), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_slot_that_was_given_to_whom_left_is_handed_on() {
    let slots = slots(&[1], 8);
    let first = now(&slots, Class::Small, Wish::Any).unwrap();
    let (leaver, mut stayer) = (wait(&slots, Class::Small).await, wait(&slots, Class::Small).await);
    drop(first);
    drop(leaver);
    assert!(matches!(poll!(&mut stayer), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn a_flood_of_large_media_leaves_room_for_small_ones() {
    let slots = slots(&[4], 8);
    let large: Vec<_> = (0..2).map(|_| now(&slots, Class::Large, Wish::Any).unwrap()).collect();
    let mut third = wait(&slots, Class::Large).await;
    let small: Vec<_> = (0..2).map(|_| now(&slots, Class::Small, Wish::Any).unwrap()).collect();
    assert!(poll!(&mut third).is_pending());
    drop(small);
    assert!(poll!(&mut third).is_pending(), "half of the slots is all that large media get");
    drop(large);
    assert!(poll!(&mut third).is_ready());
}

#[tokio::test]
async fn a_flood_of_small_media_leaves_room_for_a_large_one() {
    let slots = slots(&[2], 8);
    let first = now(&slots, Class::Small, Wish::Any).unwrap();
    let _second = now(&slots, Class::Small, Wish::Any).unwrap();
    let mut small = wait(&slots, Class::Small).await;
    let mut large = wait(&slots, Class::Large).await;
    drop(first);
    assert!(poll!(&mut small).is_pending());
    assert!(poll!(&mut large).is_ready());
}

#[tokio::test]
async fn retries_go_elsewhere_and_canaries_where_they_are_meant_to() {
    let slots = slots(&[2, 2], 8);
    assert_eq!(now(&slots, Class::Small, Wish::Elsewhere(0)).unwrap().backend(), 1);
    slots.set(1, None);
    assert_eq!(slots.take(Class::Small, Wish::Elsewhere(0)).await.unwrap_err(), Refused::NoBackend);
    assert_eq!(now(&slots, Class::Probe, Wish::Only(1)).unwrap().backend(), 1, "although it is out");
}

#[tokio::test]
async fn canaries_do_not_queue_behind_media() {
    let slots = slots(&[1], 8);
    let first = now(&slots, Class::Small, Wish::Any).unwrap();
    let mut medium = wait(&slots, Class::Small).await;
    let mut canary = Box::pin(slots.take(Class::Probe, Wish::Only(0)));
    assert!(poll!(&mut canary).is_pending());
    drop(first);
    assert!(poll!(&mut medium).is_pending());
    assert!(poll!(&mut canary).is_ready());
}

#[tokio::test]
async fn older_signatures_are_used_only_where_there_are_no_newer_ones() {
    let slots = slots(&[2, 2], 8);
    slots.set_lagging([true, false].into_iter());
    let taken: Vec<_> = (0..2).map(|_| now(&slots, Class::Small, Wish::Any).unwrap()).collect();
    assert!(taken.iter().all(|slot| slot.backend() == 1));
    assert_eq!(
        slots.take(Class::Small, Wish::Elsewhere(1)).await.unwrap_err(),
        Refused::NoBackend,
        "not even to retry"
    );
    let mut third = wait(&slots, Class::Small).await;
    slots.set(1, None);
    assert_eq!(third.as_mut().now_or_never().unwrap().unwrap().backend(), 0);
}

#[tokio::test]
async fn who_waits_for_a_backend_that_goes_is_told() {
    let slots = slots(&[1], 8);
    let _first = now(&slots, Class::Small, Wish::Any).unwrap();
    let waiting = wait(&slots, Class::Small).await;
    slots.set(0, None);
    assert_eq!(waiting.await.unwrap_err(), Refused::NoBackend);
    assert_eq!(slots.waiting(Class::Small), 0);
}
