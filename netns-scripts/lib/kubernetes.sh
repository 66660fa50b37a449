# shellcheck shell=bash
# Programs of Kubernetes 1.20, built from Debian's source package, once. Sourced after lib/prepare.sh.

# Where the sources and what was built are kept.
CACHE=${MAINSTAY_LAB_CACHE:-/var/cache/mainstay-lab}
KUBERNETES_SOURCE=$CACHE/go/src/k8s.io/kubernetes
# Debian builds from a release, but not with its name.
KUBERNETES_VERSION=v1.20.2

# Builds cmd/$1 as $CACHE/$1. Changes the directory: call it in a subshell.
build_kubernetes() {
  local program=$1 version=k8s.io/kubernetes/vendor/k8s.io/component-base/version
  [[ ! -x $CACHE/$program ]] || return 0
  fetch_kubernetes
  say "Building $program (minutes)"
  cd "$KUBERNETES_SOURCE"
  export GOPATH=$CACHE/go GO111MODULE=off CGO_ENABLED=0 GOFLAGS=-p=2 GOCACHE=$CACHE/go-build
  [[ $program != kube-apiserver ]] || generate_openapi
  go build -ldflags "-X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=20" \
    -o "$CACHE/$program.new" "./cmd/$program"
  mv "$CACHE/$program.new" "$CACHE/$program"
}

fetch_kubernetes() {
  export DEBIAN_FRONTEND=noninteractive
  say "Installing golang-go, fetching the source of kubernetes"
  mkdir -p "$CACHE/apt"
  apt-get update -q >/dev/null
  # A list of sources of its own, with those of the system's: that stays as it is.
  apt-get indextargets --format "deb-src \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" "Identifier: Packages" \
    | sort -u >"$CACHE/apt/sources.list"
  local options=(-o "Dir::Etc::sourcelist=$CACHE/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0)
  apt-get update -q "${options[@]}" >/dev/null
  apt-get install -qy --no-install-recommends golang-go dpkg-dev >/dev/null
  if [[ ! -d $KUBERNETES_SOURCE ]]; then
    (cd "$CACHE" && rm -rf kubernetes-* && apt-get source -q "${options[@]}" kubernetes >/dev/null)
    mkdir -p "$(dirname -- "$KUBERNETES_SOURCE")"
    mv "$CACHE"/kubernetes-*/ "$KUBERNETES_SOURCE"
  fi
}

# What Kubernetes' own build generates: the description of all types that are marked.
generate_openapi() {
  local package=pkg/generated/openapi inputs
  [[ ! -s $package/zz_generated.openapi.go ]] || return 0
  go build -o "$CACHE/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
  inputs=$({ grep -rlE --include='*.go' '^// \+k8s:openapi-gen=' pkg
    grep -rlE --include='*.go' '^// \+k8s:openapi-gen=' staging/src | sed 's|^staging/src/|vendor/|'; } \
    | xargs -n1 dirname | sort -u | sed 's|^vendor/||; t; s|^|k8s.io/kubernetes/|' | paste -sd,)
  "$CACHE/openapi-gen" -i "$inputs" -p "k8s.io/kubernetes/$package" -O zz_generated.openapi \
    -h hack/boilerplate/boilerplate.generatego.txt -r /dev/null >"$CACHE/openapi-gen.log" 2>&1 \
    || { tail "$CACHE/openapi-gen.log" >&2; return 1; }
}
