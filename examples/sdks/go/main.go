// An order: what it needs is set aside, it is paid for, and it is sent.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func Order(ctx *task.OrchestrationContext) (any, error) {
	var item, parcel, shipped string
	var amount int
	if err := ctx.GetInput(&item); err != nil {
		return nil, err
	}
	if err := ctx.CallActivity(Reserve, task.WithActivityInput(item)).Await(&parcel); err != nil {
		return nil, err
	}
	if err := ctx.WaitForSingleEvent("paid", -1).Await(&amount); err != nil {
		return nil, err
	}
	if err := ctx.CallActivity(Ship, task.WithActivityInput(parcel)).Await(&shipped); err != nil {
		return nil, err
	}
	return fmt.Sprintf("%s; sold for %d", shipped, amount), nil
}

func Reserve(ctx task.ActivityContext) (any, error) {
	var item string
	err := ctx.GetInput(&item)
	return item + " from shelf 7", err
}

func Ship(ctx task.ActivityContext) (any, error) {
	var parcel string
	err := ctx.GetInput(&parcel)
	return parcel + ", on its way", err
}

func run(ctx context.Context) error {
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err := grpc.DialContext(ctx, "127.0.0.1:4001", plain)
	if err != nil {
		return err
	}
	defer connection.Close()
	hub := client.NewTaskHubGrpcClient(connection, backend.DefaultLogger())

	functions := task.NewTaskRegistry()
	functions.AddOrchestrator(Order)
	functions.AddActivity(Reserve)
	functions.AddActivity(Ship)
	if err := hub.StartWorkItemListener(ctx, functions); err != nil {
		return err
	}

	id, err := hub.ScheduleNewOrchestration(ctx, "Order", api.WithInput("a book"))
	if err != nil {
		return err
	}
	if err := hub.RaiseEvent(ctx, id, "paid", api.WithEventPayload(12)); err != nil {
		return err
	}
	state, err := hub.WaitForOrchestrationCompletion(ctx, id)
	if err != nil {
		return err
	}
	fmt.Println(state.RuntimeStatus, state.SerializedOutput)
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}
