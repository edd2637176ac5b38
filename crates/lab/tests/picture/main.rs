//! The pictures of a run: nothing is missing, nothing covers anything else, and time never goes up the page.

mod read;
mod story;

use std::fs;
use std::path::Path;
use std::time::Duration;

use bowline_lab::picture::{self, Heading, Verdict};
use bowline_sim::trace::{Fate, MarkKind, MessageKind, Trace};

use read::{Picture, malformed, overlap, read};
use story::{Story, ms};

fn heading() -> Heading {
    Heading {
        title: "A leader is cut off, and its log is repaired".to_string(),
        reproduce: "bowline-lab run repair --seed 7".to_string(),
        verdict: Verdict::Passed("5 servers, 2 entries".to_string()),
    }
}

fn page(trace: &Trace) -> String {
    picture::page(trace, &heading())
}

/// All moments of a trace and how far down the page they are.
fn moments(trace: &Trace, picture: &Picture) -> Vec<(Duration, f64)> {
    let inside = |at: Duration| (trace.since()..=trace.until()).contains(&at);
    let mut moments = Vec::new();
    for (i, message) in trace.messages().enumerate() {
        moments.push((message.sent, picture.arrows[&i].tail.1));
        if message.fate != Fate::UnderWay {
            moments.push((message.end, picture.arrows[&i].tip.1));
        }
    }
    moments.extend(trace.marks().enumerate().map(|(i, mark)| (mark.at, picture.marks[&i])));
    moments.extend(trace.notes().enumerate().map(|(i, note)| (note.at, picture.notes[&i])));
    moments.retain(|(at, _)| inside(*at));
    moments.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    moments
}

/// A line is drawn to just before the tip of its arrow.
const BEFORE_THE_TIP: f64 = 8.0;

fn assert_drawn_well(trace: &Trace) {
    let picture = read(&page(trace));
    let (messages, marks, notes) = (trace.messages().len(), trace.marks().len(), trace.notes().len());
    assert_eq!((picture.arrows.len(), picture.marks.len(), picture.notes.len()), (messages, marks, notes));
    let mut lowest = 0.0_f64;
    for (at, y) in moments(trace, &picture) {
        assert!(y >= lowest - BEFORE_THE_TIP, "{at:?} is at {y}, something earlier at {lowest}");
        lowest = lowest.max(y);
        assert!((0.0..=picture.height).contains(&y), "{at:?} is at {y} of {}", picture.height);
    }
    for arrow in picture.arrows.values() {
        assert!(arrow.tip.1 > arrow.tail.1, "upwards: {arrow:?}");
    }
    for (i, (one, text)) in picture.texts.iter().enumerate() {
        for (other, under) in &picture.texts[..i] {
            assert!(!overlap(one, other), "{text:?} at {one:?} covers {under:?} at {other:?}");
        }
        assert!(one.iter().all(|(x, _)| (0.0..=picture.width).contains(x)), "{text:?} at {one:?}");
    }
    assert_eq!(malformed(&picture::svg(trace)), None);
}

#[test]
fn a_story_is_drawn_well() {
    let trace = Story::told();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // To be looked at.
    fs::write(directory.join("story.html"), page(&trace)).expect("a page is written");
    fs::write(directory.join("story.svg"), picture::svg(&trace)).expect("a picture is written");
    assert_drawn_well(&trace);
}

#[test]
fn any_trace_is_drawn_well() {
    for seed in 0..60 {
        assert_drawn_well(&Story::wild(seed));
    }
}

#[test]
fn labels_stay_between_two_lanes() {
    let picture = read(&page(&Story::told()));
    let labels: Vec<_> = picture.texts.iter().filter(|(_, text)| text.starts_with("Append ")).collect();
    assert!(labels.len() > 10);
    for (corners, text) in labels {
        let crossed = picture
            .lanes
            .iter()
            .filter(|lane| corners.iter().any(|(x, _)| x < *lane) && corners.iter().any(|(x, _)| x > *lane));
        assert_eq!(crossed.count(), 0, "{text} at {corners:?}");
    }
}

#[test]
fn a_run_of_three_thousand_messages_has_a_page() {
    let trace = Story::busy(3000);
    let page = page(&trace);
    assert!(page.len() < 4_000_000, "{} bytes", page.len());
    let picture = read(&page);
    assert!(picture.arrows.len() >= 3000);
    assert!(picture.height < 40.0 * 3000.0, "{} pixels", picture.height);
}

#[test]
fn the_same_trace_gives_the_same_bytes() {
    let (one, other) = (Story::told(), Story::told());
    assert_eq!(page(&one), page(&other));
    assert_eq!(picture::svg(&one), picture::svg(&other));
    assert_eq!(picture::timeline(&one), picture::timeline(&other));
}

#[test]
fn every_message_has_its_arrow_and_says_what_it_is() {
    let trace = Story::told();
    let picture = read(&page(&trace));
    for (i, message) in trace.messages().enumerate() {
        let arrow = &picture.arrows[&i];
        assert!(arrow.title.contains(&message.label), "{arrow:?} is not {message:?}");
        assert!(arrow.title.contains(&format!("S{} → S{}", message.from, message.to)), "{arrow:?}");
        let lane = picture.lanes[message.from];
        assert!((arrow.tail.0 - lane).abs() < 0.1, "{arrow:?} begins elsewhere than at {lane}");
    }
}

#[test]
fn what_is_lost_is_dashed_and_does_not_reach_its_receiver() {
    let trace = Story::told();
    let svg = picture::svg(&trace);
    assert!(svg.contains(".m.lost .shaft { stroke-dasharray:"));
    let picture = read(&page(&trace));
    for (i, message) in trace.messages().enumerate() {
        let arrow = &picture.arrows[&i];
        let missing = (arrow.tip.0 - picture.lanes[message.to]).abs();
        assert_eq!(
            arrow.classes.iter().any(|class| class == "lost"),
            message.fate == Fate::Lost,
            "{arrow:?}"
        );
        assert_eq!(missing > 20.0, message.fate != Fate::Arrived, "{arrow:?} to {message:?}");
    }
}

#[test]
fn a_label_cannot_break_out_of_the_page() {
    let evil = "<script>alert('x')</script> & \"y\"\u{1}\u{0}\n\u{ffff}]]>";
    let mut trace = Trace::new([evil, "S1"]);
    trace.note(ms(1.0), evil);
    trace.mark(ms(1.0), 0, MarkKind::Leader, evil);
    trace.mark(ms(1.0), 1, MarkKind::Command, evil);
    trace.send(ms(2.0), 0, 1, MessageKind::AppendEntries, evil);
    let heading =
        Heading { title: evil.into(), reproduce: evil.into(), verdict: Verdict::Failed(evil.into()) };
    let page = picture::page(&trace, &heading);
    assert_eq!(page.matches("<script").count(), 1, "the page's own");
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;"));
    assert!(!page.contains(['\u{0}', '\u{1}', '\u{ffff}']));
    assert_eq!(malformed(&picture::svg(&trace)), None);
    assert_eq!(picture::timeline(&trace).lines().count(), 5, "a line each, whatever stands in it");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let page = page(&Story::told());
    let elsewhere = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for way in ["http:", "https:", "src=", "url(", "@import", "<link"] {
        assert!(!elsewhere.contains(way), "{way}");
    }
}

#[test]
fn an_empty_trace_is_an_empty_picture() {
    assert_drawn_well(&Trace::new(Vec::<String>::new()));
    let silent = Trace::new(["S0", "S1", "S2"]);
    assert_drawn_well(&silent);
    assert!(picture::svg(&silent).contains(">S2</text>"));
    assert_eq!(picture::timeline(&silent).lines().count(), 1);
}

#[test]
fn a_window_shows_what_reaches_into_it_and_how_the_servers_were() {
    let mut trace = Trace::new(["S0", "S1", "S2"]);
    trace.mark(ms(1.0), 0, MarkKind::Leader, "leader t1");
    trace.mark(ms(2.0), 1, MarkKind::Disconnected, "cut off");
    trace.mark(ms(3.0), 2, MarkKind::Crash, "crash");
    for (sent, end) in [(0.0, 4.0), (5.0, 15.0), (12.0, 14.0), (18.0, 30.0), (5.0, 40.0)] {
        let id = trace.send(ms(sent), 0, 1, MessageKind::AppendEntries, format!("from {sent} to {end}"));
        trace.end(id, ms(end), Fate::Arrived);
    }
    let window = trace.window(ms(10.0), ms(20.0));
    assert_drawn_well(&window);
    let page = page(&window);
    let picture = read(&page);
    let titles: Vec<&str> = picture.arrows.values().filter_map(|arrow| arrow.title.lines().nth(1)).collect();
    assert_eq!(titles, ["from 5 to 15", "from 12 to 14", "from 18 to 30", "from 5 to 40"]);
    let (entering, leaving, through) = (&picture.arrows[&0], &picture.arrows[&2], &picture.arrows[&3]);
    let half = (picture.lanes[0] + picture.lanes[1]) / 2.0;
    assert_eq!(entering.tail, (half, 0.0), "half of its way lies before the window");
    assert!(leaving.tip.0 < picture.lanes[1] - 20.0, "it does not arrive here: {leaving:?}");
    assert!(through.tail.1 == 0.0 && through.tip.1 >= picture.arrows[&1].tip.1, "{through:?}");
    for class in ["lane leader", "lane follower off", "lane down"] {
        assert!(page.contains(&format!("class=\"{class}\" d=\"M")), "{class}");
    }
}

#[test]
fn what_was_forgotten_in_part_is_not_drawn_in_part() {
    let mut trace = Trace::with_limit(["S0", "S1"], 3);
    let slow = trace.send(ms(0.0), 0, 1, MessageKind::AppendEntries, "slow");
    let fast = trace.send(ms(1.0), 0, 1, MessageKind::AppendEntries, "fast");
    trace.end(fast, ms(2.0), Fate::Arrived);
    for at in [5.0, 10.0, 15.0, 20.0] {
        trace.mark(ms(at), 0, MarkKind::Commit, "commit");
    }
    trace.end(slow, ms(30.0), Fate::Arrived);
    assert_eq!((trace.since(), trace.messages().len()), (ms(5.0), 2), "the older one holds the other");
    let picture = read(&page(&trace));
    assert_eq!(picture.arrows.len(), 1);
    assert!(picture.arrows[&0].title.contains("slow"));
    assert!(!picture::timeline(&trace).contains("fast"));
}

#[test]
fn empty_time_is_compressed_and_says_so() {
    let mut trace = Trace::new(["S0", "S1"]);
    for at in [0.0, 10.0, 5000.0] {
        let id = trace.send(ms(at), 0, 1, MessageKind::AppendEntries, "x");
        trace.end(id, ms(at + 4.0), Fate::Arrived);
    }
    let page = page(&trace);
    assert!(page.contains(">~ 4986 ms ~</text>"));
    assert_eq!(page.matches("ms in which nothing is drawn").count(), 1);
    assert!(read(&page).height < 300.0);
}

#[test]
fn a_lane_is_drawn_as_its_server_was() {
    let mut trace = Trace::new(["S0"]);
    let marks = [
        (MarkKind::Candidate, "candidate"),
        (MarkKind::Leader, "leader"),
        (MarkKind::Disconnected, "leader off"),
        (MarkKind::Follower, "follower off"),
        (MarkKind::Crash, "down off"),
        (MarkKind::Connected, "down"),
        (MarkKind::Start, "follower"),
    ];
    for (at, (kind, _)) in (1_u32..).zip(marks) {
        trace.mark(ms(f64::from(at)), 0, kind, "");
    }
    let page = page(&trace);
    let (_, diagram) = page.split_once("<section class=\"diagram\"").expect("a diagram");
    let drawn: Vec<&str> =
        diagram.split("<path class=\"lane ").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let expected: Vec<&str> = std::iter::once("follower").chain(marks.map(|(_, class)| class)).collect();
    assert_eq!(drawn, expected);
    assert!(page.contains(">disconnected</text>"), "a mark without a label says what it is");
}

#[test]
fn the_timeline_has_a_line_for_each_event_in_fixed_columns() {
    let mut trace = Trace::new(["S0", "S1"]);
    trace.note(ms(1.0), "a step");
    trace.mark(ms(1.5), 0, MarkKind::Command, "1: x");
    let first = trace.send(ms(1.5), 0, 1, MessageKind::AppendEntries, "Append t1 1..1 c0");
    trace.end(first, ms(5.25), Fate::Arrived);
    let second = trace.send(ms(5.25), 1, 0, MessageKind::AppendReply, "ok match 1");
    trace.end(second, ms(8.0), Fate::Lost);
    trace.send(ms(9.0), 0, 1, MessageKind::Heartbeat, "Heartbeat");
    let expected = "
     time/ms  server  what          event
       1.000  --      script        a step
       1.500  S0      command       1: x
       1.500  S0      -> S1         Append t1 1..1 c0
       5.250  S1      <- S0         Append t1 1..1 c0
       5.250  S1      -> S0         ok match 1
       8.000  S1      -x S0         ok match 1 (lost)
       9.000  S0      -> S1         Heartbeat (still under way)
";
    assert_eq!(format!("\n{}", picture::timeline(&trace)), expected);
}

#[test]
fn every_line_of_the_timeline_leads_to_something() {
    let page = page(&Story::told());
    let links: Vec<&str> =
        page.split("<a href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), picture::timeline(&Story::told()).lines().count() - 1);
    for link in links {
        assert_eq!(page.matches(&format!(" id=\"{link}\"")).count(), 1, "{link}");
    }
}
