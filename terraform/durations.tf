# Durations of the config, in seconds: "90s", "1h 30m", "3d".
locals {
  seconds_of_unit = merge(
    { for unit in ["s", "sec", "secs", "second", "seconds"] : unit => 1 },
    { for unit in ["m", "min", "mins", "minute", "minutes"] : unit => 60 },
    { for unit in ["h", "hr", "hrs", "hour", "hours"] : unit => 3600 },
    { for unit in ["d", "day", "days"] : unit => 86400 },
    { for unit in ["w", "wk", "wks", "week", "weeks"] : unit => 604800 },
  )

  # A route without max_age has three days. What is no duration counts nothing here: `towpath config check` refuses it.
  max_ages = [
    for route in var.routes : sum(concat([0], [
      for part in try(regexall("([0-9]+)\\s*([a-z]+)", coalesce(route.max_age, "3d")), regexall("([0-9]+)([a-z]+)", "3d")) :
      tonumber(part[0]) * try(local.seconds_of_unit[part[1]], 0)
    ]))
  ]
  longest_max_age = max(0, local.max_ages...)
}
