# SPDX-License-Identifier: Apache-2.0
# Nothing in the tree or in the products names the machine that it was made on.
set -u
status=0
tracked=$(git ls-files 2>/dev/null)
[ -n "$tracked" ] || exit 77
# The patterns are written so that they do not match themselves.
if git grep -nIE '/(wor[k]|hom[e]|roo[t]|build[s])/[a-z]|\.\./share[d]|TOD[O]|FIXM[E]|\bXX[X]\b' -- . ':!LICENSE'; then
	echo "^ a path of somebody's machine, or unfinished work"
	status=1
fi
for product in libtlstall.so tlstall; do
	if strings -a $product | grep -F "$PWD/" | grep -v '^/proc' | head -n 3 | grep .; then
		# Debug information contains the build directory, so only products without it count.
		readelf -SW $product | grep -q '\.debug_info' || { echo "^ in $product"; status=1; }
	fi
done
exit $status
