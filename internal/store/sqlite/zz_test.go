package sqlite
import ("testing";"context";"fmt";"time";"math/rand/v2";"sync";"os";"strings";"path/filepath"
"github.com/haisu-trace/haisu/internal/store")
func uid(i int) string { return fmt.Sprintf("0690123456%04d/%016x", i%5000, uint64(i)*0x9E3779B97F4A7C15) }
func TestZZ(t *testing.T){
 ctx:=context.Background()
 for _, n := range []int{10000,1000000} {
 pp:=filepath.Join("/tmp/zz",fmt.Sprint(n,".db")); os.MkdirAll("/tmp/zz",0755)
 _,se:=os.Stat(pp)
 e:=open(t, pp)
 e.Declare(ctx, store.Spec{Name:"u",Indexes:map[string]string{"a":"1"}})
 pad:=strings.Repeat("x",350)
 st:=time.Now()
 for i:=0;i<n && se!=nil;i+=1000 { var rs []store.Record; for j:=i;j<i+1000;j++ { rs=append(rs, store.Record{ID:uid(j),Rev:1,Body:[]byte(`{"p":"`+pad+`"}`),Entries:[]store.Entry{{Index:"a",Eq:store.K(uid(j)[:14]),Order:store.K(j)}}}) }
  if _,err:=e.Insert(ctx,"u",rs); err!=nil{t.Fatal(err)} }
 fi,_:=os.Stat(e.path)
 fmt.Println(n,"loaded in",time.Since(st), fi.Size()>>20,"MiB")
 for round:=0; round<3; round++ {
 var wg sync.WaitGroup; st=time.Now()
 const per=20000
 for g:=0;g<8;g++ { wg.Go(func(){ r:=rand.New(rand.NewPCG(uint64(g),uint64(round))); for k:=0;k<per;k++ { rs,err:=e.Get(ctx,"u",[]string{uid(r.IntN(n))}); if err!=nil||len(rs)!=1{t.Error(err,len(rs));return} } }) }
 wg.Wait(); fmt.Println(n,"gets/s",float64(8*per)/time.Since(st).Seconds())
 }
 b,_:=os.ReadFile("/proc/self/status"); for _,l:=range strings.Split(string(b),"\n"){ if strings.HasPrefix(l,"VmRSS")||strings.HasPrefix(l,"RssAnon"){fmt.Println(l)} }
 }
}
