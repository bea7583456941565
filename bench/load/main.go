// Command load is the client of bench/serve: it starts servers on this machine, asks them, and prints what it found as Markdown, with a line for each
// thing that must hold. Its first argument says what is measured:
//
//	throughput  texts a second of albert serve and of other servers, by turns
//	latency     times at half of the highest rate, and what HTTP adds to the engine
//	overload    ten times what fits: who is refused, how long the others wait, memory
//	soak        memory and answers over minutes; reloads, SIGTERM and kill -9 under load
//	harm        normal requests while other clients do what harms servers
//	same        the bits of an answer, alone and among others, over each route
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	albert, vegeta, models, data string
	peers                        []string
	work, precision              []string
	connections                  []int
	rounds, threads              int
	seconds, minutes             float64
	json                         string
	tmp, command                 string // a folder that goes at the end; what the user gave
}

// span is so many seconds.
func span(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

var commands = map[string]func(o *options, r *report) error{"throughput": throughput, "latency": latency, "overload": overload, "soak": soak, "harm": harm, "same": same}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench/serve:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || commands[args[0]] == nil {
		return fmt.Errorf("want throughput, latency, overload, soak, harm or same")
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.tmp, err = os.MkdirTemp("", "albert-load-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.tmp)
	r := &report{Command: o.command, CPU: cpuName(), Cores: runtime.NumCPU(), Began: time.Now().UTC().Format(time.DateTime)}
	before := readClock(os.Getpid())
	err = commands[args[0]](o, r)
	r.Others = readClock(os.Getpid()).others(before)
	r.print()
	if err == nil && o.json != "" {
		var text []byte
		if text, err = json.MarshalIndent(r, "", " "); err == nil {
			err = os.WriteFile(o.json, append(text, '\n'), 0o666)
		}
	}
	if err != nil {
		return err
	}
	if n := r.failed(); n > 0 {
		return fmt.Errorf("%d of %d points are not met", n, len(r.Points))
	}
	return nil
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("load "+args[0], flag.ContinueOnError)
	f.StringVar(&o.albert, "albert", "albert", "the program")
	f.StringVar(&o.vegeta, "vegeta", "vegeta", "the program for constant rates")
	f.StringVar(&o.models, "models", "", "folder of the models base, classify, answer, choose and fill")
	f.StringVar(&o.data, "data", os.Getenv("ALBERT_DATA"), "folder of the texts")
	f.Func("peer", "another server: NAME=COMMAND, in which {port}, {precision} and {threads} are filled in", func(s string) error {
		o.peers = append(o.peers, s)
		return nil
	})
	work := f.String("work", "short,long,mixed", "texts: SST-2's sentences, 350 words, 3 to 350 words")
	precision := f.String("precision", "fp32,int8", "of matrix products")
	connections := f.String("connections", "1,8,64", "numbers of connections")
	f.IntVar(&o.rounds, "rounds", 5, "rounds; medians are given")
	f.IntVar(&o.threads, "threads", runtime.NumCPU(), "of each server")
	f.Float64Var(&o.seconds, "seconds", 0, "of a burst, or of a kind of load (default: 5, for a constant rate 30, for overload 20)")
	f.Float64Var(&o.minutes, "minutes", 10, "of soaking")
	f.StringVar(&o.json, "json", "", "write what was found to this file, too")
	if err := f.Parse(args[1:]); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	o.command = "bench/serve " + args[0]
	f.Visit(func(x *flag.Flag) {
		if !slices.Contains([]string{"albert", "vegeta", "models", "data", "peer"}, x.Name) {
			o.command += " --" + x.Name + " " + x.Value.String()
		}
	})
	o.work, o.precision = strings.Split(*work, ","), strings.Split(*precision, ",")
	for _, s := range strings.Split(*connections, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("--connections: %q is no number above 0", s)
		}
		o.connections = append(o.connections, n)
	}
	if o.rounds < 1 || o.threads < 1 || o.seconds < 0 || o.minutes < 0 {
		return nil, fmt.Errorf("--rounds and --threads are 1 at least, --seconds and --minutes not below 0")
	}
	o.seconds = cmp.Or(o.seconds, map[string]float64{"latency": 30, "overload": 20}[args[0]], 5)
	return o, nil
}

// report is what was found.
type report struct {
	Command string  `json:"command"`
	CPU     string  `json:"cpu"`
	Cores   int     `json:"cores"`
	Began   string  `json:"began"`
	Others  float64 `json:"others"` // the part of the machine that other programs took
	Tables  []table `json:"tables"`
	Points  []point `json:"points"`
	Data    any     `json:"data,omitempty"` // the measured values
}

type table struct {
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// point is a thing that must hold.
type point struct {
	What string `json:"what"`
	Got  string `json:"got"`
	Want string `json:"want"`
	Met  bool   `json:"met"`
}

func (r *report) must(met bool, what, got, want string) {
	r.Points = append(r.Points, point{what, got, want, met})
}

func (r *report) failed() (n int) {
	for _, p := range r.Points {
		if !p.Met {
			n++
		}
	}
	return n
}

func (t table) print() {
	fmt.Printf("\n%s\n\n| %s |\n|%s\n", t.Title, strings.Join(t.Columns, " | "), strings.Repeat("---|", len(t.Columns)))
	for _, row := range t.Rows {
		fmt.Printf("| %s |\n", strings.Join(row, " | "))
	}
}

func (r *report) print() {
	fmt.Printf("%s: %s, %d cores, %s; other programs took %.0f %% of the machine\n", r.Command, r.CPU, r.Cores, r.Began, 100*r.Others)
	for _, t := range r.Tables {
		t.print()
	}
	points := table{Title: "What must hold:", Columns: []string{"what", "got", "wanted", "met"}}
	for _, p := range r.Points {
		points.Rows = append(points.Rows, []string{p.What, p.Got, p.Want, map[bool]string{true: "yes", false: "NO"}[p.Met]})
	}
	if len(r.Points) > 0 {
		points.print()
	}
}

// quantile is that of a list, which it sorts; 0 of an empty one.
func quantile[T cmp.Ordered](list []T, q float64) (x T) {
	if len(list) == 0 {
		return x
	}
	slices.Sort(list)
	return list[min(len(list)-1, int(q*float64(len(list))))]
}

func median[T cmp.Ordered](list []T) T { return quantile(slices.Clone(list), 0.5) }

// ms writes a time in milliseconds.
func ms(d time.Duration) string { return strconv.FormatFloat(d.Seconds()*1e3, 'f', 2, 64) }
