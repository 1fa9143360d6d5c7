// An order: what it needs is set aside, it is paid for, and it is sent.

import com.microsoft.durabletask.*;
import java.time.Duration;
import java.util.function.Function;

public class Orders {
    public static void main(String[] args) {
        try {
            run();
            System.exit(0); // a worker runs until its process ends
        } catch (Exception failure) {
            failure.printStackTrace();
            System.exit(1);
        }
    }

    static void run() throws Exception {
        DurableTaskGrpcWorker worker = new DurableTaskGrpcWorkerBuilder()
                .port(4001)
                .addOrchestration(orchestration("order", Orders::order))
                .addActivity(activity("reserve", item -> item + " from shelf 7"))
                .addActivity(activity("ship", parcel -> parcel + ", on its way"))
                .build();
        worker.start();

        DurableTaskClient client = new DurableTaskGrpcClientBuilder().port(4001).build();
        String instance = client.scheduleNewOrchestrationInstance("order", "a book");
        client.raiseEvent(instance, "paid", 12);
        OrchestrationMetadata state =
                client.waitForInstanceCompletion(instance, Duration.ofSeconds(60), true);
        System.out.println(state.getRuntimeStatus() + " " + state.readOutputAs(String.class));
    }

    static void order(TaskOrchestrationContext ctx) {
        String item = ctx.getInput(String.class);
        String parcel = ctx.callActivity("reserve", item, String.class).await();
        int amount = ctx.waitForExternalEvent("paid", Integer.class).await();
        String shipped = ctx.callActivity("ship", parcel, String.class).await();
        ctx.complete(shipped + "; sold for " + amount);
    }

    static TaskOrchestrationFactory orchestration(String name, TaskOrchestration code) {
        return new TaskOrchestrationFactory() {
            public String getName() {
                return name;
            }

            public TaskOrchestration create() {
                return code;
            }
        };
    }

    static TaskActivityFactory activity(String name, Function<String, String> code) {
        return new TaskActivityFactory() {
            public String getName() {
                return name;
            }

            public TaskActivity create() {
                return ctx -> code.apply(ctx.getInput(String.class));
            }
        };
    }
}
