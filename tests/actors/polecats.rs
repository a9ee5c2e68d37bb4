//! What is known of a rig's polecats: the list, their work, their worktrees, and the names of their sessions.

use gastown_supervisor::{
    agent::{
        confirmation::{Assignment, Permission},
        denial::Unwanted,
        permission,
        polecat::{
            roster::{self, Worktree},
            work,
        },
        spec::AgentSpec,
    },
    deps::Deps,
    ledger::snapshot,
    town::{
        identity::{Identity, RigName},
        rig_plan::RigPlan,
        settings::Naming,
    },
};

use crate::{spec, town, world::*};

fn r() -> RigName {
    "r".parse().unwrap()
}

fn rig() -> RigPlan {
    RigPlan { name: r(), prefix: "r".into() }
}

fn identity(name: &str) -> Identity {
    Identity::Polecat(r(), name.parse().unwrap())
}

async fn assignment(deps: &Deps, name: &str) -> Assignment {
    work::read(deps, &spec(identity(name)), "r", None).await
}

#[test]
fn work_is_read_afresh() {
    simulate(210, |world| async move {
        let deps = town(&world).await;
        world.add_polecat("r", "Toast", "r-1");
        let wanted = Assignment::Hooked { hook: "r-1".into() };
        assert_eq!(assignment(&deps, "Toast").await, wanted);
        assert_eq!(world.state().bd_shows(), 2, "its agent bead, and the bead on its hook");
        let agent = agent_bead("r", "Toast");
        for (name, change, expected) in [
            ("stuck", "stuck", Unwanted::Resting("stuck".to_owned())),
            ("spawning", "spawning", Unwanted::BeingSpawned),
        ] {
            world.set_state("r", "Toast", change);
            assert_eq!(assignment(&deps, "Toast").await, Assignment::None(expected), "{name}");
        }
        let updated = world.wall();
        world.pass(secs(1)).await;
        let seen = work::read(&deps, &spec(identity("Toast")), "r", Some(world.wall())).await;
        assert_eq!(seen, wanted, "seen alive since {updated}");
        world.pass(mins(5)).await;
        assert_eq!(assignment(&deps, "Toast").await, wanted, "nobody is spawning it any more");
        world.set_state("r", "Toast", "");
        assert_eq!(assignment(&deps, "Toast").await, wanted, "`idle`, by its description");
        world.close_bead("r-1");
        let none = Assignment::None;
        assert_eq!(assignment(&deps, "Toast").await, none(Unwanted::WorkClosed("r-1".to_owned())));
        world.delete_bead("r-1");
        assert_eq!(assignment(&deps, "Toast").await, none(Unwanted::WorkMissing("r-1".to_owned())));
        world.unhook("r", "Toast");
        assert_eq!(assignment(&deps, "Toast").await, none(Unwanted::NoWork));
        world.close_bead(&agent);
        assert_eq!(assignment(&deps, "Toast").await, none(Unwanted::AgentBeadClosed));
        world.delete_bead(&agent);
        assert_eq!(assignment(&deps, "Toast").await, none(Unwanted::NoAgentBead));
    });
}

#[test]
fn what_bd_cannot_say_is_unknown() {
    simulate(211, |world| async move {
        let deps = town(&world).await;
        world.add_polecat("r", "Toast", "r-1");
        world.add_polecat("r", "odd", "r-2");
        world.edit_bead(&agent_bead("r", "odd"), |bead| bead["hook_bead"] = "--help".into());
        let got = assignment(&deps, "odd").await;
        assert!(matches!(got, Assignment::Unknown(_)), "a hook that is no id: {got:?}");
        world.fail("command", true);
        let got = assignment(&deps, "Toast").await;
        assert!(matches!(got, Assignment::Unknown(_)), "{got:?}");
        let snapshot = snapshot::read(&deps, &rig(), &["Toast".parse().unwrap()]).await;
        assert!(snapshot.doubt().unwrap().contains("it failed"), "{snapshot:?}");
        let got = work::nominated(&deps, &snapshot, &identity("Toast"), None);
        assert!(matches!(got, Some(Assignment::Unknown(_))), "{got:?}");
        let witness = spec(Identity::Witness(r()));
        assert_eq!(work::read(&deps, &witness, "r", None).await, Assignment::Permanent);
    });
}

#[test]
fn many_are_nominated_by_one_snapshot() {
    simulate(212, |world| async move {
        let deps = town(&world).await;
        for name in ["a", "b", "c"] {
            world.add_polecat("r", name, "r-1");
        }
        world.unhook("r", "b");
        // As 1.0 names it, where the prefix is the rig's name.
        let mut collapsed = world.state().beads[&agent_bead("r", "c")].clone();
        world.delete_bead(&agent_bead("r", "c"));
        collapsed["id"] = "r-polecat-c".into();
        world.put_bead(collapsed);
        let names = ["a", "b", "c", "ghost"];
        let hooked = || Some(Assignment::Hooked { hook: "r-1".into() });
        let none = |why| Some(Assignment::None(why));
        let is_closed = || none(Unwanted::WorkClosed("r-1".to_owned()));
        for (daemon, closed, calls) in [(false, false, 2), (true, false, 3), (false, true, 2)] {
            world.state().bd_daemon = daemon;
            if closed {
                world.close_bead("r-1");
            }
            let before = world.state().bd_shows();
            let polecats: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
            let snapshot = snapshot::read(&deps, &rig(), &polecats).await;
            let got = names.map(|name| work::nominated(&deps, &snapshot, &identity(name), None));
            let wanted = || if closed { is_closed() } else { hooked() };
            let expected = [wanted(), none(Unwanted::NoWork), wanted(), none(Unwanted::NoAgentBead)];
            assert_eq!(got, expected);
            assert_eq!(world.state().bd_shows() - before, calls, "through the daemon: {daemon}, {closed}");
            assert_eq!(work::nominated(&deps, &snapshot, &identity("new"), None), None, "not asked about");
            assert_eq!(snapshot.doubt(), None);
        }
        let c = assignment(&deps, "c").await;
        assert_eq!(Some(c), is_closed(), "the second id");
    });
}

#[test]
fn the_roster_is_the_directories() {
    simulate(213, |world| async move {
        let deps = town(&world).await;
        let names = async || {
            let names = roster::list(&deps, &r()).await?;
            Ok::<_, String>(names.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names().await.unwrap(), [""; 0], "no directory at all");
        for name in ["nux", "Toast", "x.y"] {
            world.add_polecat("r", name, "");
        }
        world.directory("r/polecats/.claude");
        world.directory("r/polecats/-rf");
        world.write("r/polecats/notes.txt", "no directory");
        assert_eq!(names().await.unwrap(), ["Toast", "nux", "x.y"]);
        let key = "rig/r/polecats/names";
        assert!(deps.problems.open()[key].contains("\"-rf\""), "{:?}", deps.problems.open());
        names().await.unwrap();
        assert_eq!(world.logged("-rf").len(), 1, "told once");
        world.remove_directory("r/polecats/-rf");
        names().await.unwrap();
        assert!(!deps.problems.any(key));
        world.directory("r/crew/max");
        assert_eq!(roster::crew(&deps, &r()).await.unwrap()[0].as_str(), "max");
        for call in ["list dir", "is dir"] {
            world.fail(call, true);
            let error = names().await.unwrap_err();
            assert!(error.starts_with("r/polecats"), "{error}");
            world.fail(call, false);
        }
    });
}

#[test]
fn a_worktree_is_there_or_gone_or_unknown() {
    simulate(214, |world| async move {
        let deps = town(&world).await;
        let at = async |name: &str| roster::worktree(&deps, &r(), &name.parse().unwrap()).await;
        world.add_polecat("r", "Toast", "");
        assert_eq!(at("Toast").await, Worktree::There(path("r/polecats/Toast/r")));
        world.remove_directory("r/polecats/Toast/r");
        assert_eq!(
            at("Toast").await,
            Worktree::Gone,
            "half of a nuke: the directory around it is still there"
        );
        world.remove_worktree("r", "Toast");
        assert_eq!(at("Toast").await, Worktree::Gone);
        world.directory("r/polecats/old");
        world.write("r/polecats/old/.git", "gitdir: elsewhere");
        assert_eq!(at("old").await, Worktree::There(path("r/polecats/old")));
        world.directory("r/polecats/old/r");
        world.remove_repository("r/polecats/old/r");
        assert_eq!(at("old").await, Worktree::There(path("r/polecats/old")), "a directory of the project's");
        world.add_polecat("r", "bare", "");
        world.remove_repository("r/polecats/bare/r");
        assert_eq!(at("bare").await, Worktree::Gone, "part of the repository around it");
        world.fail("exists", true);
        assert!(matches!(at("old").await, Worktree::Unknown(_)));
    });
}

#[test]
fn two_agents_of_one_session_are_both_left_alone() {
    simulate(215, |world| async move {
        let deps = town(&world).await;
        let claim = |identity: Identity| {
            let session = identity.session(Naming::Rig, "r");
            deps.directory.claim(&identity, &session);
            AgentSpec { identity, session, prefix: "r".into() }
        };
        let (witness, polecat, other) =
            (claim(Identity::Witness(r())), claim(identity("witness")), claim(identity("Toast")));
        for spec in [&witness, &polecat] {
            let Permission::Denied(why) = permission::ask(&deps, spec).await else { panic!("{spec:?}") };
            assert_eq!(
                why.to_string(),
                "two agents would have session gt-r-witness: r/witness and r/polecats/witness"
            );
        }
        assert_eq!(permission::ask(&deps, &other).await, Permission::Allowed);
        assert_eq!(deps.problems.open().into_keys().collect::<Vec<_>>(), ["claims/gt-r-witness"]);
        deps.directory.release(&polecat.identity);
        assert_eq!(permission::ask(&deps, &witness).await, Permission::Allowed);
        assert!(deps.problems.open().is_empty());
    });
}

#[test]
fn the_world_sees_when_an_unwanted_polecat_is_created() {
    simulate(216, |world| async move {
        town(&world).await;
        world.add_polecat("r", "Toast", "r-1");
        let made = |world: &World| {
            let now = world.time();
            let mut state = world.state();
            state.may_create(now, &polecat("r", "Toast"));
            std::mem::take(&mut state.violations)
        };
        assert_eq!(made(&world), [""; 0], "wanted");
        world.close_bead("r-1");
        assert_eq!(made(&world), [""; 0], "closed in this very moment");
        world.pass(secs(2)).await;
        assert!(made(&world)[0].contains("r-1 is closed"));
        world.edit_bead("r-1", |bead| bead["status"] = "hooked".into());
        world.write_wisp("r", r#""status":"parked""#);
        world.pass(millis(1)).await;
        assert!(made(&world)[0].contains("Rig(\"r\") is closed"), "a polecat belongs to its rig");
    });
}
