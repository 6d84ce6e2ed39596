# The questions of a Grafana dashboard as rules, which promtool can check.
[.. | .expr? // empty
 | gsub("\\$__rate_interval"; "5m") | gsub("\\$instance"; ".*")]
| {groups: [{name: "dashboard",
	     rules: to_entries | map({record: "question:\(.key)", expr: .value})}]}
