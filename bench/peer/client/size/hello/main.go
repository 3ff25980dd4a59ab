// Command hello is the program that nothing is added to.
package main

import "fmt"

func main() { fmt.Println("hello") }
