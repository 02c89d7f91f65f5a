// Package ferretdb holds tests only: they run the MongoDB engine against FerretDB v1, an imitation of MongoDB that can be embedded, and
// so prove that the shapes of its commands are ones that a server of that protocol accepts. It is a module of its own to keep FerretDB
// out of the product's go.mod.
//
// FerretDB v1 is no MongoDB: it reads whole collections, ignores indexes and hints, and loses concurrent updates. These tests say nothing about
// concurrency, speed or the use of indexes; the whole suite runs against a real server when MONGODB_URI is set.
package ferretdb
