# SPDX-License-Identifier: Apache-2.0
# The version script: exports what functions.def interposes, and nothing else.
BEGIN { print "{"; print "global:" }
/^INTERPOSED\(/ { split($0, part, /[(,)]/); print "\t" part[2] ";" }
/^EXPORTED\(/ { split($0, part, /[(,)]/); print "\t" part[2] ";" }
END { print "local:"; print "\t*;"; print "};" }
