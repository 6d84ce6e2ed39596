# Whether a Grafana dashboard is whole; prints what is not.
def complaints:
	(["title", "uid", "schemaVersion", "time", "templating"][] as $key
	 | select(.[$key] == null) | "no \($key)"),
	(.panels | if length < 5 then "few panels" else empty end),
	([.panels[].id] | select(unique != sort) | "panels share an id"),
	(.panels[] | . as $p
	 | (select((.title // "") == "") | "panel \(.id) has no title"),
	   (select(.gridPos.x + .gridPos.w > 24) | "panel \($p.title) leaves the grid"),
	   (select(.type != "row")
	    | (select((.description // "") == "") | "panel \($p.title) has no description"),
	      (select((.targets | length) == 0) | "panel \($p.title) asks nothing"),
	      (select(.datasource.uid != "${datasource}") | "panel \($p.title) has a data source of its own"),
	      (.targets[] | select((.expr // "") == "") | "panel \($p.title) has an empty question"),
	      (select([.targets[].refId] | unique != sort) | "panel \($p.title): targets share a name"))),
	# No two lie on each other.
	(.panels as $all | range(0; $all | length) as $i | range(0; $i) as $j
	 | $all[$i].gridPos as $a | $all[$j].gridPos as $b
	 | select($a.x < $b.x + $b.w and $b.x < $a.x + $a.w and
		  $a.y < $b.y + $b.h and $b.y < $a.y + $a.h)
	 | "panels \($all[$i].title) and \($all[$j].title) overlap");

[complaints] | if length == 0 then "whole" else .[] end
