//! Which nodes a report points at.

mod sample;

use edgedeck_model::Lang;
use edgedeck_model::node::NodeState;
use edgedeck_report::{Kind, html};
use sample::report;

const TITLE: &str = "Nodes that need attention most";

#[test]
fn troubled_nodes_come_first_and_healthy_labs_have_none() {
    let mut data = report(12, Lang::En, Kind::Health);
    data.alarms.clear();
    for node in &mut data.nodes {
        node.state = NodeState::Online;
        node.availability = Some(100.0);
        node.alarms = 0;
    }
    assert!(!html(&data).unwrap_or_default().contains(TITLE));
    let names = [3, 5, 8].map(|at| data.nodes.get(at).map(|node| node.name.clone()).unwrap_or_default());
    if let [_, _, _, third, _, fifth, _, _, eighth, ..] = data.nodes.as_mut_slice() {
        third.availability = Some(97.5);
        fifth.state = NodeState::Offline;
        eighth.state = NodeState::Degraded;
    }
    let page = html(&data).unwrap_or_default();
    let table = page
        .split(TITLE)
        .nth(1)
        .and_then(|rest| rest.split("</section>").next())
        .unwrap_or_default();
    let place = |name: &str| table.find(name).unwrap_or_else(|| panic!("{name} is not in {table}"));
    assert!(
        place(&names[1]) < place(&names[2]) && place(&names[2]) < place(&names[0]),
        "offline, degraded, then the rest"
    );
    assert!(table.contains("available only 97.5 % of the time"));
    assert_eq!(table.matches("<tr>").count(), 4, "a head and three nodes");
}
