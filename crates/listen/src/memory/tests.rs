use super::*;

const SHARES: Shares = Shares { total: 1_000, kept: 200, address: 500, connection: 400, small: 50 };

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn what_is_dropped_is_given_back_and_no_more_is_lent_than_there_is() {
    let budget = Budget::unshared(100);
    let account = budget.account(address(1));
    let mut first = account.reserve(60).unwrap();
    assert_eq!(account.reserve(50).map(drop), Err(Exhausted));
    assert_eq!((first.grow_to(50), budget.used()), (Ok(()), 60));
    assert_eq!((first.grow_by(40), budget.used()), (Ok(()), 100));
    assert_eq!((first.grow_by(1), budget.used()), (Err(Exhausted), 100));
    let part = first.split(30);
    drop(first);
    assert_eq!((part.bytes(), budget.used()), (30, 30));
    drop(part);
    assert_eq!(budget.used(), 0);
}

#[test]
fn neither_a_connection_nor_an_address_takes_everyones() {
    let budget = Budget::new(SHARES);
    let one = budget.account(address(1));
    let held = one.reserve(400).unwrap();
    assert_eq!(one.reserve(1).map(drop), Err(Exhausted), "the connection's share");
    let beside = budget.account(address(1));
    assert_eq!(beside.reserve(101).map(drop), Err(Exhausted), "the address's share");
    let elsewhere = budget.account(address(2)).reserve(400).unwrap();
    assert_eq!(budget.used(), 800);
    drop((held, elsewhere));
    assert_eq!(budget.used(), 0);
}

#[test]
fn small_requests_go_on_while_large_ones_hold_what_they_may() {
    let budget = Budget::new(SHARES);
    let hoarders = [1, 2].map(|last| budget.account(address(last)).reserve(400).unwrap());
    let third = budget.account(address(3));
    assert_eq!(third.reserve(60).map(drop), Err(Exhausted), "large: the rest is kept");
    assert!(!third.is_short());
    let mut small = third.reserve(50).unwrap();
    assert!(third.is_short(), "what is kept is in use");
    assert_eq!(small.grow_by(1), Err(Exhausted), "it would not be small any more");
    let same_address = budget.account(address(1)).reserve(50);
    assert!(same_address.is_ok(), "also from a hoarder's address");
    drop(hoarders);
    assert!(small.grow_by(100).is_ok());
}

#[test]
fn small_requests_of_one_address_leave_room_for_those_of_others() {
    let budget = Budget::new(SHARES);
    let of = |last| budget.account(address(last)).reserve(50);
    let held: Vec<_> = std::iter::from_fn(|| of(1).ok()).collect();
    assert_eq!(held.len(), 16, "all but what is kept");
    let others: Vec<_> = std::iter::from_fn(|| of(2).ok()).collect();
    assert_eq!(others.len(), 4);
    // Behind a balancer all senders have one address, and may use everything.
    let budget = Budget::new(Shares { address: SHARES.total, ..SHARES });
    let held: Vec<_> = std::iter::from_fn(|| budget.account(address(1)).reserve(50).ok()).collect();
    assert_eq!(held.len(), 20);
}

#[test]
fn an_address_is_forgotten_with_its_last_account() {
    let budget = Budget::new(SHARES);
    let (first, second) = (budget.account(address(1)), budget.account(address(1)));
    let held = first.reserve(10).unwrap();
    drop((first, second));
    assert_eq!(budget.0.addresses().len(), 1, "something is still under way");
    drop(held);
    assert!(budget.0.addresses().is_empty());
}

#[test]
fn a_network_of_ipv6_counts_as_one_address() {
    let key = |text: &str| network(text.parse().unwrap());
    assert_eq!(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2"));
    assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
    assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
}
