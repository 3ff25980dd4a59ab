package rules

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	privacyv1 "github.com/slicemetry/slicemetry/proto/privacy/v1"
	"github.com/slicemetry/slicemetry/schema/rules/internal/option"
)

// Categories is a set of the kinds of data that a user can agree to.
type Categories uint8

// AllCategories holds every kind.
var AllCategories = func() (all Categories) {
	for category := range privacyv1.Category_name {
		if category != 0 {
			all |= bit(privacyv1.Category(category))
		}
	}
	return all
}()

func bit(c privacyv1.Category) Categories { return 1 << c }

// Has reports whether a kind is in the set.
func (c Categories) Has(category privacyv1.Category) bool { return c&bit(category) != 0 }

// Names returns the names of the kinds, as in the data dictionary: "machine",
// "print_settings".
func (c Categories) Names() []string {
	var names []string
	for i, name := range EnumNames(privacyv1.Category(0).Descriptor()) {
		if c.Has(privacyv1.Category(i)) {
			names = append(names, name)
		}
	}
	return names
}

// ParseCategories reads what Names returns.
func ParseCategories(names []string) (Categories, error) {
	all := EnumNames(privacyv1.Category(0).Descriptor())
	var c Categories
	for _, name := range names {
		i := slices.Index(all, name)
		if i <= 0 {
			return 0, fmt.Errorf("rules: %q is no kind of data; there are %s", name, strings.Join(all[1:], ", "))
		}
		c |= bit(privacyv1.Category(i))
	}
	return c, nil
}

// Keep removes the fields of a message that are of other kinds. A list or a
// message inside goes as a whole, by its own kind.
func Keep(m proto.Message, c Categories) {
	message := m.ProtoReflect()
	message.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !c.Has(option.Rule(fd).GetCategory()) {
			message.Clear(fd)
		}
		return true
	})
}
