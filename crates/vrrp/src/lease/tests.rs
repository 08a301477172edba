use proptest::prelude::*;

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(advert_millis: u64, adverts: u8) -> Option<u64> {
    lease(millis(advert_millis), adverts).map(|lease| lease.lifetime.as_secs())
}

#[test]
fn the_lifetime_is_the_longest_that_fits() {
    let rows = [
        (1_000, 3, Some(2)),
        (2_000, 3, Some(5)),
        (5_000, 3, Some(14)),
        (500, 3, Some(1)),
        (434, 3, Some(1)),
        (433, 3, None),
        (100, 3, None),
        (10, 3, None),
        (1_000, 2, Some(1)),
        (1_000, 1, None),
        (10_000, 1, None),
        (850, 2, Some(1)),
        (849, 2, None),
        (1_300, 10, Some(12)),
        (255_000, 100, Some(25_499)),
        (0, 3, None),
        (1_000, 0, None),
    ];
    for (advert, adverts, expected) in rows {
        assert_eq!(secs(advert, adverts), expected, "advert_int {advert} ms × {adverts}");
    }
}

#[test]
fn short_leases_are_renewed_between_adverts() {
    let lease = lease(millis(1_000), 2).unwrap();
    assert_eq!(lease.lifetime, millis(1_000));
    assert_eq!((lease.between, lease.every), (2, millis(275)));
    assert_eq!(lease.latest, millis(700));
}

proptest! {
    #[test]
    fn the_shortest_outlives_a_late_master_at_any_interval(ms in 1..256_000_u64) {
        let advert = millis(ms);
        let lease = shortest(advert);
        let alive = lease.lifetime - KERNEL_EARLY - MASTER_LATE;
        prop_assert!(lease.latest <= advert);
        if lease.between == 0 {
            // Skipped while the next advert's renewal will do.
            prop_assert!(advert <= alive && (lease.every == advert || lease.every + advert <= alive));
        } else {
            prop_assert!(lease.every <= alive && lease.every * (lease.between + 1) <= advert);
            prop_assert!(advert - lease.every * lease.between <= alive + millis(1));
        }
    }

    #[test]
    fn it_ends_before_a_backup_and_outlives_a_late_master(ms in 1..300_000_u64, adverts: u8) {
        let advert = millis(ms);
        let Some(lease) = lease(advert, adverts) else { return Ok(()) };
        let down = advert * u32::from(adverts);
        prop_assert_eq!(lease.lifetime.subsec_nanos(), 0);
        prop_assert!(lease.lifetime >= Duration::from_secs(1));
        // The last renewal a master may make ends in time, and the next whole second would not have.
        prop_assert!(lease.latest + lease.lifetime + KERNEL_LATE < down);
        prop_assert!(lease.lifetime + Duration::from_secs(1) + KERNEL_LATE + RENEWAL_LAG >= down);
        // Every planned renewal is allowed, and follows the one before it in time.
        let last = lease.every * lease.between;
        prop_assert!(lease.between == 0 || last <= lease.latest);
        let alive = lease.lifetime - KERNEL_EARLY - MASTER_LATE;
        prop_assert!(lease.between == 0 || lease.every <= alive);
        let last = if lease.between == 0 { Duration::ZERO } else { last };
        // Integer division may cut up to one nanosecond per renewal.
        prop_assert!(advert - last <= alive + Duration::from_nanos(lease.between.into()));
    }
}
