package checkpoint

import "os"

// Hold is replaced soon.
func Hold(root string) (release func(), err error) {
	return func() {}, os.MkdirAll(root, 0o777)
}
