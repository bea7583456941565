package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"albert/internal/model"
)

// The test's own program is the command where this says with which arguments.
func init() {
	if args := os.Getenv("ALBERT_SERVE_TEST"); args != "" {
		os.Exit(runCommand(strings.Split(args, "\n")))
	}
}

// served writes a random model into a directory, by a seed.
func served(t *testing.T, dir string, seed uint64) {
	t.Helper()
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 500, 8, 16, 32, 2, 2
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := model.NewWith(c, model.PretrainingHeads, seed).Save(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../tokenizer/testdata/albert.model")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "spiece.model"), data, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// startServing runs albert serve as a process and gives its address.
func startServing(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ALBERT_SERVE_TEST="+strings.Join(append([]string{"serve", "--port", "0", "--threads", "1"}, args...), "\n"))
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	if i := strings.Index(line, "http"); err == nil && i >= 0 {
		go func() { _, _ = io.Copy(io.Discard, lines) }()
		return cmd, strings.TrimSpace(line[i:])
	}
	t.Fatalf("no address: %q, %v", line, err)
	return nil, ""
}

func answered(t *testing.T, url, body string) string {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%s: %d %s, %v", url, r.StatusCode, text, err)
	}
	return string(text)
}

// SIGHUP takes over new files; SIGTERM answers what was accepted, and ends with 0.
func TestServeTakesOverFilesAndDrains(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "news")
	served(t, dir, 1)
	cmd, url := startServing(t, dir)
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatal(url)
	}
	before := answered(t, url+"/embed", `{"inputs":"a"}`)
	served(t, dir, 2)
	_ = cmd.Process.Signal(syscall.SIGHUP)
	for began := time.Now(); answered(t, url+"/embed", `{"inputs":"a"}`) == before; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("the new files are not taken over")
		}
	}
	lines, finish := openStream(t, url+"/models/news/embed")
	_ = cmd.Process.Signal(syscall.SIGTERM)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		r, err := http.Get(url + "/v2/health/ready")
		if err != nil {
			t.Fatal("while a request is under way:", err)
		}
		r.Body.Close()
		if r.StatusCode == 503 {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("still ready")
		}
	}
	finish("the last")
	if rest, err := io.ReadAll(lines); err != nil || strings.Count(string(rest), "embedding") != 1 {
		t.Errorf("what was accepted: %s, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// openStream begins a stream of lines, of which the first is answered; finish sends the last.
func openStream(t *testing.T, url string) (lines *bufio.Reader, finish func(string)) {
	t.Helper()
	in, out := io.Pipe()
	go fmt.Fprintln(out, "first")
	r, err := http.Post(url, "text/plain", in)
	if err != nil {
		t.Fatal(err)
	}
	lines = bufio.NewReader(r.Body)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "embedding") {
		t.Fatal(line, err)
	}
	return lines, func(text string) {
		fmt.Fprintln(out, text)
		out.Close()
	}
}

// A second signal, and the end of --drain, end the server with requests under way.
func TestServeEndsAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	served(t, dir, 1)
	for _, drain := range []string{"1h", "100ms"} {
		cmd, url := startServing(t, "x="+dir, "--drain", drain)
		_, _ = openStream(t, url+"/models/x/embed")
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if drain == "1h" {
			time.Sleep(200 * time.Millisecond)
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err == nil {
				t.Error("status 0, though a request was under way")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it does not end")
		}
	}
}

// HTTPS with a certificate, and a key from a file.
func TestServeByTLSAndKey(t *testing.T) {
	dir := t.TempDir()
	served(t, filepath.Join(dir, "m"), 1)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), "keys": []byte("ann secret\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	_, url := startServing(t, at("m"), "--tls-cert", at("cert.pem"), "--tls-key", at("key.pem"), "--api-key-file", at("keys"))
	pool := x509.NewCertPool()
	parsed, _ := x509.ParseCertificate(cert)
	pool.AddCert(parsed)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for key, want := range map[string]int{"secret": 200, "other": 401} {
		r, _ := http.NewRequest(http.MethodGet, url+"/v1/models", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		w, err := client.Do(r)
		if err != nil || w.StatusCode != want {
			t.Fatal(key, w, err)
		}
		w.Body.Close()
	}
	for _, args := range [][]string{{"serve", "a/m", "b/m"}, {"serve", "m", "--tls-cert", "c"}, {"serve", "m", "--port", "70000"}, {"serve", "m", "--max-body", "0"}} {
		if status, _, errs := call(t, args...); status != 2 || strings.Count(errs, "\n") > 1 {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
	if status, _, errs := call(t, "serve", at("nope"), "--port", "0"); status != 1 || !strings.Contains(errs, "nope") {
		t.Errorf("a model that is not there: %d %s", status, errs)
	}
}
