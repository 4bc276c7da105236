//! Which addresses are connected to on the word of others.
//!
//! A name that is allowed may still resolve to an address inside our own network: by mistake, or because whoever keeps
//! it wants to reach what only we can reach. So addresses are filtered where names become addresses, and what was
//! filtered is what is connected to: there is no second resolution that could say something else.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// What the IANA special-purpose registry of IPv4 does not call globally reachable, and multicast. std's
/// `Ipv4Addr::is_global` would be this list, but is not stable.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),       // this network
    v4([10, 0, 0, 0], 8),      // private use
    v4([100, 64, 0, 0], 10),   // behind a carrier's NAT
    v4([127, 0, 0, 0], 8),     // loopback
    v4([169, 254, 0, 0], 16),  // link-local; clouds have their credentials there
    v4([172, 16, 0, 0], 12),   // private use
    v4([192, 0, 0, 0], 24),    // protocol assignments
    v4([192, 0, 2, 0], 24),    // documentation
    v4([192, 88, 99, 0], 24),  // relays of 6to4, given up
    v4([192, 168, 0, 0], 16),  // private use
    v4([198, 18, 0, 0], 15),   // benchmarking
    v4([198, 51, 100, 0], 24), // documentation
    v4([203, 0, 113, 0], 24),  // documentation
    v4([224, 0, 0, 0], 4),     // multicast
    v4([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// All of IPv6 unicast that is assigned to anyone. Loopback, unspecified, link-local, site-local, unique-local,
/// multicast and the addresses that embed an IPv4 one are outside of it.
const GLOBAL_V6: Ipv6Net = v6(0x2000_0000, 3);

/// Exceptions within [`GLOBAL_V6`].
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6(0x2001_0000, 23), // protocol assignments, Teredo
    v6(0x2001_0db8, 32), // documentation
    v6(0x2002_0000, 16), // 6to4
    v6(0x3fff_0000, 20), // documentation
];

/// Where a network without IPv4 puts all of it (RFC 6052): the one embedding that is of use today.
const NAT64: Ipv6Net = v6(0x0064_ff9b, 96);

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

/// A network by the first 32 bits of its address.
const fn v6(first: u128, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_bits(first << 96), bits)
}

/// True if the address is one host somewhere on the internet.
pub(super) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => SPECIAL_V4.iter().all(|net| !net.contains(&address)),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_global(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(address) => GLOBAL_V6.contains(&address) && SPECIAL_V6.iter().all(|net| !net.contains(&address)),
    }
}

/// Names that are resolved at a time. Each takes a thread, of those that serve the disk as well, for as long as the name's
/// own servers like, which may be those of an attacker.
const MAX_LOOKUPS: usize = 8;

/// The addresses that may be connected to: global ones, and the private networks that the operator named.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    private: Arc<[IpNet]>,
    lookups: Arc<Semaphore>,
}

impl Reach {
    pub(super) fn new(private: &[IpNet]) -> Self {
        Self { private: private.into(), lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    pub(super) fn allows(&self, address: IpAddr) -> bool {
        is_global(address) || self.private.iter().any(|net| net.contains(&address))
    }

    /// Whoever waits for the answer may give up; the thread, and so the permit, is free when the system has one.
    async fn look_up(&self, name: Name) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
        let looking = spawn_blocking(move || {
            let _permit = permit;
            // The port is that of the URL; this one is replaced.
            Ok((name.as_str(), 0).to_socket_addrs()?.collect())
        });
        looking.await?
    }
}

/// A name has no address that may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("it resolves to private addresses only")]
pub(super) struct OutOfReach;

/// The system's resolver without the addresses that are out of reach.
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let mut found = reach.look_up(name).await?;
            found.retain(|address| reach.allows(address.ip()));
            match found.is_empty() {
                true => Err(OutOfReach.into()),
                false => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::timeout;

    use super::*;

    const PRIVATE: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::808:808",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::808:808",
        "100::1",
        "2001::1",
        "2001:0:808:808::f7f7:f7f7",
        "2001:2::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ];

    const GLOBAL: &[&str] = &[
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "64:ff9b::808:808",
        "2001:200::1",
        "2001:db9::1",
        "2003::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "3ffe:ffff::1",
    ];

    #[test]
    fn only_hosts_on_the_internet_are_global() {
        for (addresses, expected) in [(PRIVATE, false), (GLOBAL, true)] {
            for address in addresses {
                assert_eq!(is_global(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn a_private_network_is_reached_once_it_is_named_and_in_its_own_spelling_only() {
        let reach = Reach::new(&["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (address, expected) in [
            ("10.1.2.3", true),
            ("fd00::1", true),
            ("8.8.8.8", true),
            ("10.2.0.1", false),
            ("fc00::1", false),
            ("::ffff:10.1.2.3", false),
            ("64:ff9b::a01:203", false),
        ] {
            assert_eq!(reach.allows(address.parse().unwrap()), expected, "{address}");
        }
    }

    /// The clock goes on only while no thread is at work.
    #[tokio::test(start_paused = true)]
    async fn names_are_resolved_a_few_at_a_time() {
        let reach = Reach::new(&["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        let places = MAX_LOOKUPS.try_into().unwrap();
        let others = Arc::clone(&reach.lookups).acquire_many_owned(places).await.unwrap();
        let mut looking = reach.resolve("localhost".parse().unwrap());
        assert!(timeout(Duration::from_hours(1), &mut looking).await.is_err(), "it waits for a place");
        drop(others);
        assert!(looking.await.unwrap().count() > 0);
        assert_eq!(reach.lookups.available_permits(), MAX_LOOKUPS);
    }

    /// Agrees with what std knows of addresses, which is less.
    fn std_finds_it_special(address: Ipv4Addr) -> bool {
        address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_unspecified()
            || address.is_multicast()
    }

    proptest! {
        #[test]
        fn what_std_finds_special_is_not_global(bits: u32, net in 0..SPECIAL_V4.len()) {
            // Half of the cases in a special network, where chance alone would seldom lead.
            let net = SPECIAL_V4[net];
            let inside = Ipv4Addr::from_bits(net.network().to_bits() | bits & net.hostmask().to_bits());
            prop_assert!(!is_global(inside.into()));
            let anywhere = Ipv4Addr::from_bits(bits);
            prop_assert!(!(std_finds_it_special(anywhere) && is_global(anywhere.into())));
        }

        #[test]
        fn no_embedding_makes_a_private_address_global(bits: u32, net in 0..SPECIAL_V4.len(), rest: u64) {
            let net = SPECIAL_V4[net];
            let v4 = u128::from(net.network().to_bits() | bits & net.hostmask().to_bits());
            let embedded = [
                v4,                                                               // IPv4-compatible
                0xffff << 32 | v4,                                                // IPv4-mapped
                0x0064_ff9b << 96 | v4,                                           // NAT64
                0x2002 << 112 | v4 << 80 | u128::from(rest),                      // 6to4
                0x2001 << 112 | u128::from(rest) << 32 | (v4 ^ 0xffff_ffff),      // Teredo
            ];
            for address in embedded.map(Ipv6Addr::from_bits) {
                prop_assert!(!is_global(address.into()), "{address}");
            }
        }

        #[test]
        fn nothing_outside_of_global_unicast_is_global_but_nat64(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert!(!is_global(address.into()) || bits >> 125 == 1 || NAT64.contains(&address));
        }
    }
}
