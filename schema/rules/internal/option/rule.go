// Package option reads the privacy rule of a field. It is apart from package
// rules because the generator, which writes a part of that, needs it first.
package option

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
)

// Rule returns the rule that a field of the protocol carries, nil for none.
func Rule(fd protoreflect.FieldDescriptor) *privacyv1.Rule {
	if !proto.HasExtension(fd.Options(), privacyv1.E_Rule) {
		return nil
	}
	return proto.GetExtension(fd.Options(), privacyv1.E_Rule).(*privacyv1.Rule)
}
