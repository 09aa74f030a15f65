/// The version of the product, by CHANGELOG.md. The command, the C library and the wheel take theirs from here.
package let productVersion: StaticString = "0.1.0"
